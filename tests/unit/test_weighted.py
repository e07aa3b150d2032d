"""Weighted quality: against single rows, `obp`, equal weights, and the truth of a population."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import accuracy_score, log_loss, precision_score, recall_score

from processor.loops import LoopConfig
from processor.measure.counts import Window
from processor.measure.quality import QualityCounts, quality
from processor.measure.weighted import Mass, WeightedCounts, share
from processor.measurements import INSUFFICIENT, Measurement
from processor.weighting import effective_size, hajek

DATA = Path(__file__).parents[2] / "data"
LOOP = LoopConfig.model_validate(
    {
        "loop": "l",
        "model": "m",
        "outcome": {"metric": "x", "signal": "label", "window": "1d"},
        "min_slice_rows": 30,
    }
)
SPAN = Window("7d", datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 8, tzinfo=UTC))
METRICS = ("accuracy", "precision", "recall", "log_loss")
Numbers = npt.NDArray[np.float64]


class Rows(NamedTuple):
    """Labels, predictions, the probability of what happened, and weights."""

    label: Numbers
    said: Numbers
    given: Numbers
    weight: Numbers

    def some(self, those: npt.NDArray[np.bool_]) -> Rows:
        return Rows(*(each[those] for each in self))

    @property
    def loss(self) -> Numbers:
        found: Numbers = -np.log(self.given)
        return found

    def even(self) -> Rows:
        return self._replace(weight=np.ones_like(self.weight))


def counted(rows: Rows) -> QualityCounts:
    """The sums that Spark makes, made by numpy."""
    hit, said, w, loss = rows.label == 1, rows.said == 1, rows.weight, rows.loss
    cells = {"tp": hit & said, "fp": ~hit & said, "fn": hit & ~said, "tn": ~hit & ~said}
    sums = {
        **{f"w_{name}": w[cell].sum() for name, cell in cells.items()},
        **{f"ww_{name}": (w[cell] ** 2).sum() for name, cell in cells.items()},
    }
    weighted = WeightedCounts(
        **sums,
        w_said=w.sum(),
        ww_said=(w**2).sum(),
        w_loss=(w * loss).sum(),
        ww_loss=(w**2 * loss).sum(),
        ww_loss_sq=(w**2 * loss**2).sum(),
    )
    tp, fp, fn, tn = (int(cell.sum()) for cell in cells.values())
    plain = (float(loss.sum()), float((loss**2).sum()), loss.size)
    return QualityCounts(loss.size, tp, fp, fn, tn, *plain, weighted)


def measured(counts: QualityCounts) -> dict[str, Measurement]:
    found = quality(
        counts,
        loop=LOOP,
        model_version="1",
        slice_name="all",
        window=SPAN,
        reference=None,
        reference_accuracy=None,
    )
    return {one.metric: one for one in found}


def population(rng: np.random.Generator, size: int) -> tuple[Rows, Numbers]:
    """The less sure the model, the more often it is wrong; and how unsure it was, in [0, 1]."""
    sure = 0.5 + 0.5 * rng.beta(2.5, 1.2, size)
    said = (rng.random(size) < 0.4).astype(float)
    right = rng.random(size) < sure
    label = np.where(right, said, 1 - said)
    given = np.clip(np.where(right, sure, 1 - sure), 1e-6, 1.0)
    return Rows(label, said, given, np.ones(size)), 2 * (1 - sure)


def asked(unsure: Numbers, budget: float, floor: float) -> Numbers:
    """The probability of each to be asked about: by how unsure the model was."""
    score = np.maximum(unsure, floor)
    found: Numbers = np.minimum(1.0, score * budget / score.sum())
    return found


# --- the figures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_values_are_sklearns_with_weights_and_intervals_follow_single_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    everyone, unsure = population(rng, int(rng.integers(400, 3_000)))
    chance = asked(unsure, everyone.label.size / 3, 0.05)
    rows = everyone._replace(weight=1 / chance).some(rng.random(chance.size) < chance)
    found = measured(counted(rows))
    label, said, w = rows.label, rows.said, rows.weight
    wanted = {
        "accuracy": accuracy_score(label, said, sample_weight=w),
        "precision": precision_score(label, said, sample_weight=w),
        "recall": recall_score(label, said, sample_weight=w),
        "log_loss": log_loss(
            label, np.where(label == 1, rows.given, 1 - rows.given), sample_weight=w
        ),
    }
    among = {"precision": said == 1, "recall": label == 1}
    for metric, value in wanted.items():
        one, those = found[metric], among.get(metric, np.ones(label.size, bool))
        assert one.value == pytest.approx(value, rel=1e-12)
        assert one.n == those.sum()
        assert one.effective_n == pytest.approx(effective_size(w[those]), rel=1e-9)
        assert one.ci_low is not None
        assert one.ci_high is not None
        right = rows.loss if metric == "log_loss" else (label == said).astype(float)
        single = hajek(right[those], w[those])
        assert single.ci_low is not None
        assert single.ci_high is not None
        width = single.ci_high - single.ci_low
        assert one.ci_high - one.ci_low == pytest.approx(width, rel=0.05)


@pytest.mark.parametrize("weight", [0.5, 3.0])
def test_rows_that_stand_for_equally_many_say_what_they_say_unweighted(weight: float) -> None:
    rows, _ = population(np.random.default_rng(3), 700)
    plain = measured(counted(rows)._replace(weighted=None))
    even = measured(counted(rows._replace(weight=np.full(700, weight))))
    for metric in METRICS:
        for name in ("value", "ci_low", "ci_high"):
            assert getattr(even[metric], name) == pytest.approx(getattr(plain[metric], name))
        assert even[metric].effective_n == pytest.approx(plain[metric].n)
        assert plain[metric].effective_n is None


def test_the_uniform_policy_from_the_log_of_thompson_sampling() -> None:
    """Golden: `obp` 0.4.1, SelfNormalizedInverseProbabilityWeighting on the same rows."""
    table = pq.read_table(DATA / "open_bandit_bts_all.parquet")
    click, propensity = (np.asarray(table[c], float) for c in ("click", "propensity_score"))
    w = 1 / 80 / propensity
    masses = [Mass(w[of].sum(), (w[of] ** 2).sum()) for of in (click == 1, click == 0)]
    found = share(*masses)
    assert found.value == pytest.approx(0.00233, abs=5e-6)
    assert found.effective == pytest.approx(340, abs=0.5)
    assert 0 < found.low < 0.0038 < found.high, "it covers what the policy itself came to"


def test_a_share_of_all_or_nothing_stands_on_its_effective_rows() -> None:
    rows = Mass(120.0, 1440.0)  # ten rows in effect
    nothing = Mass(0.0, 0.0)
    assert (share(rows, nothing).value, share(rows, nothing).high) == (1.0, 1.0)
    assert share(nothing, rows).low == 0.0
    assert share(nothing, rows).high == pytest.approx(0.2775, abs=1e-4)  # Wilson, 0 of 10


def test_too_few_effective_rows_have_no_value() -> None:
    rng = np.random.default_rng(5)
    rows, _ = population(rng, 200)
    heavy = rows._replace(weight=np.where(np.arange(200) < 4, 1000.0, 1.0))
    for metric, one in measured(counted(heavy)).items():
        assert (one.value, one.verdict) == (None, INSUFFICIENT), metric
        assert "4.4 effective rows of 200, fewer than 30" in str(one.reason)


# --- planted truth --------------------------------------------------------------------------------

SIZE, BUDGET, SEEDS = 3_000, 600.0, 400


@pytest.fixture(scope="module")
def covered() -> tuple[dict[str, float], dict[str, float]]:
    """How often the intervals hold the truth: weighed, and as if all stood for equally many."""
    hits = (dict.fromkeys(METRICS, 0), dict.fromkeys(METRICS, 0))
    rng = np.random.default_rng(17)
    everyone, unsure = population(rng, SIZE)
    chance = asked(unsure, BUDGET, 0.05)
    truth = measured(counted(everyone))
    for _ in range(SEEDS):
        rows = everyone._replace(weight=1 / chance).some(rng.random(SIZE) < chance)
        for count, sample in zip(hits, (rows, rows.even()), strict=True):
            for name, one in measured(counted(sample)).items():
                low, value, high = one.ci_low, truth[name].value, one.ci_high
                assert low is not None
                assert value is not None
                assert high is not None
                count[name] += low <= value <= high
    weighed, naive = ({name: n / SEEDS for name, n in count.items()} for count in hits)
    return weighed, naive


@pytest.mark.parametrize("metric", METRICS)
def test_where_the_unsure_are_asked_more_often_the_truth_is_still_covered(
    covered: tuple[dict[str, float], dict[str, float]], metric: str
) -> None:
    weighed, naive = covered
    assert 0.92 <= weighed[metric] <= 0.99
    assert naive[metric] < 0.5
