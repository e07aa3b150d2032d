"""Quality equals scikit-learn's and statsmodels' on the same rows."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss, precision_score, recall_score
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from processor.loops import LoopConfig
from processor.measure.counts import Window
from processor.measure.quality import QualityCounts, quality
from processor.measurements import INSUFFICIENT, Measurement

START, END = datetime(2016, 1, 1, tzinfo=UTC), datetime(2016, 1, 31, tzinfo=UTC)
LOOP = LoopConfig.model_validate(
    {
        "loop": "employment",
        "model": "classifier",
        "outcome": {"metric": "employed", "from": "ground_truth", "window": "14d"},
        "min_slice_rows": 30,
    }
)


def counted(label: np.ndarray, said: np.ndarray, losses: np.ndarray) -> QualityCounts:
    """Rows counted one by one."""
    tp, fp, fn, tn = (
        int(((label == a) & (said == b)).sum()) for a, b in ((1, 1), (0, 1), (1, 0), (0, 0))
    )
    total, squares = float(losses.sum()), float((losses**2).sum())
    return QualityCounts(label.size, tp, fp, fn, tn, total, squares, losses.size)


def measured(
    counts: QualityCounts, loop: LoopConfig = LOOP, before: float | None = 0.8
) -> dict[str, Measurement]:
    found = quality(
        counts,
        loop=loop,
        model_version="2",
        slice_name="sex=1",
        window=Window("30d", START, END),
        reference="1",
        reference_accuracy=before,
    )
    return {one.metric: one for one in found}


@pytest.mark.parametrize("seed", range(40))
def test_values_and_intervals_are_sklearns_and_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(30, 3_000))
    label = (rng.random(n) < rng.uniform(0.1, 0.9)).astype(int)
    score = np.clip(rng.beta(2, 2, n) * 0.6 + label * 0.3, 0.001, 0.999)
    said = (score >= rng.uniform(0.3, 0.7)).astype(int)
    losses = -np.log(np.where(label == 1, score, 1 - score))
    found = measured(counted(label, said, losses))
    shares = {
        "accuracy": (accuracy_score(label, said), int((label == said).sum()), n),
        "precision": (precision_score(label, said), int((label & said).sum()), int(said.sum())),
        "recall": (recall_score(label, said), int((label & said).sum()), int(label.sum())),
    }
    for metric, (value, hits, of) in shares.items():
        one = found[metric]
        assert one.value == pytest.approx(value, abs=1e-12)
        assert one.n == of
        low, high = proportion_confint(hits, of, method="wilson")
        assert (one.ci_low, one.ci_high) == pytest.approx((low, high), abs=1e-12)
    loss = found["log_loss"]
    assert loss.value == pytest.approx(log_loss(label, score), abs=1e-12)
    low, high = DescrStatsW(losses).zconfint_mean()
    assert (loss.ci_low, loss.ci_high) == pytest.approx((low, high), abs=1e-9)


ENOUGH = QualityCounts(100, 40, 10, 20, 30, 50.0, 60.0, 100)


def test_every_measurement_says_what_it_is() -> None:
    found = measured(ENOUGH)
    assert list(found) == ["accuracy", "precision", "recall", "log_loss"]
    for one in found.values():
        assert (one.loop, one.model_name, one.model_version) == ("employment", "classifier", "2")
        assert (one.slice, one.window) == ("sex=1", "30d")
        assert (one.window_start, one.window_end) == (START, END)
        assert (one.verdict, one.reason) == (None, None)


def test_accuracy_alone_is_held_against_the_baselines() -> None:
    found = measured(ENOUGH)
    assert (found["accuracy"].reference, found["accuracy"].reference_value) == ("1", 0.8)
    others = {(m.reference, m.reference_value) for m in found.values() if m.metric != "accuracy"}
    assert others == {(None, None)}
    alone = measured(ENOUGH, before=None)["accuracy"]
    assert (alone.value, alone.reference, alone.reference_value) == (0.7, None, None)


def test_few_rows_are_insufficient_and_keep_their_count() -> None:
    found = measured(QualityCounts(29, 10, 5, 4, 10, 5.0, 6.0, 29))
    for one in found.values():
        assert (one.value, one.ci_low, one.ci_high) == (None, None, None)
        assert one.verdict == INSUFFICIENT
        assert one.reason is not None
        assert "29 rows, fewer than 30" in one.reason
    assert [one.n for one in found.values()] == [29, 15, 14, 29]


def test_the_floor_is_the_loops_own() -> None:
    loop = LOOP.model_copy(update={"min_slice_rows": 5})
    found = measured(QualityCounts(5, 2, 1, 1, 1, 5.0, 6.0, 5), loop)
    assert [one.value for one in found.values()] == [3 / 5, 2 / 3, 2 / 3, 1.0]


def test_a_share_of_nothing_has_no_value_and_a_reason() -> None:
    found = measured(QualityCounts(40, 0, 0, 0, 40, 4.0, 1.0, 40))
    assert (found["accuracy"].value, found["accuracy"].ci_high) == (1.0, 1.0)
    reasons = {"precision": "nothing was called positive", "recall": "nothing was positive"}
    for metric, reason in reasons.items():
        one = found[metric]
        assert (one.value, one.n, one.verdict, one.reason) == (None, 0, INSUFFICIENT, reason)


@pytest.mark.parametrize("said", [0, 1, 29])
def test_log_loss_needs_its_own_rows(said: int) -> None:
    """Spark's sum of nothing is null."""
    total = float(said) if said else None
    found = measured(ENOUGH._replace(log_loss_n=said, log_loss_sum=total, log_loss_sq_sum=total))
    assert (found["log_loss"].value, found["log_loss"].n) == (None, said)
    assert found["log_loss"].verdict == INSUFFICIENT
    assert found["accuracy"].value == 0.7


def test_one_row_has_a_share_but_no_spread() -> None:
    loop = LOOP.model_copy(update={"min_slice_rows": 1})
    found = measured(QualityCounts(1, 1, 0, 0, 0, 0.5, 0.25, 1), loop)
    assert found["accuracy"].value == 1.0
    assert found["log_loss"].verdict == INSUFFICIENT


def test_no_interval_of_a_loss_goes_below_zero() -> None:
    loss = measured(ENOUGH._replace(log_loss_sum=1.0, log_loss_sq_sum=1.0))["log_loss"]
    assert (loss.value, loss.ci_low) == (0.01, 0.0)
    assert loss.ci_high == pytest.approx(0.01 + 1.96 * 0.01, rel=1e-3)
