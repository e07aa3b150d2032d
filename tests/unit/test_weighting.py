"""Weighted estimates: against numbers of others, against plain sums, and against the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.weighting import effective_size, hajek

DATA = Path(__file__).parents[2] / "data"
ITEMS = 80
WEIGHTS = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=30)


def logged(name: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Clicks and propensities of a log of the Open Bandit data."""
    table = pq.read_table(DATA / f"open_bandit_{name}_all.parquet")
    click, propensity = (np.asarray(table[c], float) for c in ("click", "propensity_score"))
    return click, propensity


def test_the_uniform_policy_from_the_log_of_thompson_sampling() -> None:
    """Golden: `obp` 0.4.1, SelfNormalizedInverseProbabilityWeighting on the same rows."""
    click, propensity = logged("bts")
    found = hajek(click, (1 / ITEMS) / propensity, min_effective=100)
    assert found.value == pytest.approx(0.00233, abs=5e-6)
    assert found.effective_n == pytest.approx(340, abs=0.5)
    assert found.ci_low is not None
    assert found.ci_high is not None
    on_policy = logged("random")[0].mean()
    assert on_policy == pytest.approx(0.0038)
    assert found.ci_low < on_policy < found.ci_high
    refused = hajek(click, (1 / ITEMS) / propensity, min_effective=500)
    assert (refused.value, refused.ci_low) == (None, None)
    assert refused.reason == "340.4 effective rows of 10000, fewer than 500"


def test_the_interval_is_as_wide_as_that_of_the_bootstrap() -> None:
    click, propensity = logged("bts")
    weight = (1 / ITEMS) / propensity
    found = hajek(click, weight)
    rng = np.random.default_rng(0)
    picks = (rng.integers(0, click.size, click.size) for _ in range(1000))
    means = [(weight[i] * click[i]).sum() / weight[i].sum() for i in picks]
    low, high = np.percentile(means, [2.5, 97.5])
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_high - found.ci_low == pytest.approx(high - low, rel=0.1)


@given(weights=WEIGHTS)
def test_the_effective_size_is_kishs(weights: list[float]) -> None:
    found = effective_size(weights)
    assert found == pytest.approx(sum(weights) ** 2 / sum(w * w for w in weights), rel=1e-9)
    assert 1 - 1e-9 <= found <= len(weights) * (1 + 1e-9)
    assert effective_size([1e200 * w for w in weights]) == pytest.approx(found, rel=1e-9)


def test_equal_weights_are_a_plain_mean() -> None:
    values = np.random.default_rng(1).normal(size=500)
    found = hajek(values, np.full(500, 7.0))
    assert found.value == pytest.approx(values.mean())
    assert found.effective_n == pytest.approx(500)
    assert found.clipped == 0
    half = 1.959963985 * values.std() / 500**0.5
    assert found.ci_high == pytest.approx(values.mean() + half)


def test_clipping_says_how_much_it_may_be_off() -> None:
    rng = np.random.default_rng(2)
    values, weights = rng.random(2000), rng.pareto(1.2, 2000) + 0.1
    whole, cut = hajek(values, weights), hajek(values, weights, clip=5.0)
    assert whole.value is not None
    assert cut.value is not None
    assert cut.clipped > 0.1
    assert abs(whole.value - cut.value) <= cut.clipped * np.ptp(values)
    assert cut.effective_n > whole.effective_n


def test_rows_that_say_nothing_are_refused() -> None:
    assert hajek([], []).reason == "no rows"
    assert effective_size([]) == 0
    with pytest.raises(ValueError, match="not above 0"):
        effective_size([1.0, 0.0])
    with pytest.raises(ValueError, match="not above 0"):
        hajek([1.0], [float("inf")])
    with pytest.raises(ValueError, match="2 values and 1 weights"):
        hajek([1.0, 2.0], [1.0])
