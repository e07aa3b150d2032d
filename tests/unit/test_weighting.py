"""Weighted estimates: against numbers of others, against plain sums, and against the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.weighting import doubly_robust, effective_size, hajek, ipw

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
    """Golden: the bootstrap's [.0011, .0042], here within what its draws leave open."""
    click, propensity = logged("bts")
    weight = (1 / ITEMS) / propensity
    found = hajek(click, weight)
    rng = np.random.default_rng(0)
    picks = (rng.integers(0, click.size, click.size) for _ in range(1000))
    means = [(weight[i] * click[i]).sum() / weight[i].sum() for i in picks]
    low, high = np.percentile(means, [2.5, 97.5])
    assert low == pytest.approx(0.0011, abs=2e-4)
    assert high == pytest.approx(0.0042, abs=2e-4)
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_high - found.ci_low == pytest.approx(high - low, rel=0.1)


def test_a_policy_that_was_hardly_ever_served_is_refused() -> None:
    """The other campaign of `obp`, women, has an effective size of 2 of 10,000 in this comparison.

    It is not among the data here, so its weights are made up: two rows that serving all but never
    chose outweigh the rest.
    """
    rng = np.random.default_rng(3)
    weight, click = rng.uniform(0.01, 0.1, 10_000), rng.random(10_000) < 0.004
    weight[:2] = 10_000.0, 8_000.0
    assert effective_size(weight) == pytest.approx(2, abs=0.2)
    for estimate in (hajek, ipw):
        found = estimate(click, weight, min_effective=30)
        assert (found.value, found.ci_low, found.ci_high) == (None, None, None)
        assert "effective rows of 10000, fewer than 30" in str(found.reason)
        assert estimate(click, weight).value is not None, "without a floor it looks like a figure"


def test_ipw_and_the_doubly_robust_estimate_are_those_of_obp() -> None:
    """Golden: `obp` 0.4.1, InverseProbabilityWeighting and DoublyRobust on the same rows.

    The model is an item's share of clicks in the other log, of (clicks + 1) / (shown + 250).
    Intervals: obp's bootstrap of 10,000 samples.
    """
    click, propensity = logged("bts")
    weight = (1 / ITEMS) / propensity
    plain = ipw(click, weight)
    assert plain.value == pytest.approx(0.0023596395168460037, rel=1e-12)
    items = {n: pq.read_table(DATA / f"open_bandit_{n}_all.parquet") for n in ("bts", "random")}
    shown = {name: np.asarray(table["item_id"], int) for name, table in items.items()}
    rate = (np.bincount(shown["random"], logged("random")[0], ITEMS) + 1) / (
        np.bincount(shown["random"], minlength=ITEMS) + 250
    )
    served = rate[shown["bts"]]
    robust = doubly_robust(click, weight, served, np.full(click.size, rate.mean()))
    assert robust.value == pytest.approx(0.0021977991278787266, rel=1e-12)
    bootstrapped = {
        plain: (0.0010260678404402756, 0.004329686526904084),
        robust: (0.000785931211110922, 0.004201934491289643),
    }
    for found, (low, high) in bootstrapped.items():
        assert found.effective_n == pytest.approx(340, abs=0.5)
        assert found.ci_low is not None
        assert found.ci_high is not None
        assert found.ci_high - found.ci_low == pytest.approx(high - low, rel=0.05)


@given(weights=WEIGHTS, clip=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
def test_the_doubly_robust_estimate_is_the_formula_row_by_row(
    weights: list[float], clip: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    y, p, q = rng.normal(size=(3, len(weights)))
    found = doubly_robust(y, weights, p, q, clip=clip)
    if len(weights) == 1:
        assert found.reason == "one row has no spread"
        return
    said = [
        model + min(w, clip) * (value - own)
        for value, w, own, model in zip(y, weights, p, q, strict=True)
    ]
    mean = sum(said) / len(said)
    error = (sum((each - mean) ** 2 for each in said) / (len(said) - 1) / len(said)) ** 0.5
    assert found.value == pytest.approx(mean, rel=1e-9, abs=1e-9)
    assert found.ci_high == pytest.approx(mean + 1.959963985 * error, rel=1e-6, abs=1e-9)
    whole = doubly_robust(y, weights, p, q)
    assert whole.value is not None
    assert found.value is not None
    bound = found.clipped * float(np.mean(weights)) * float(np.abs(y - p).max())
    assert abs(whole.value - found.value) <= bound * (1 + 1e-9) + 1e-9


def served(rng: np.random.Generator, size: int) -> tuple[npt.NDArray[np.float64], ...]:
    """What a policy of three actions came to in contexts x: x, action, reward, its propensity."""
    x = rng.uniform(-1, 1, size)
    likely = np.exp(np.stack([x, 0 * x, -2 * x], axis=1))
    likely /= likely.sum(axis=1, keepdims=True)
    action = (rng.random(size)[:, None] > likely.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    reward = (rng.random(size) < rewards(x)[np.arange(size), action]).astype(float)
    return x, action, reward, likely[np.arange(size), action]


def rewards(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The true mean reward of each action: the target policy, always the first, has 0.5 + 0.1."""
    return np.stack([0.5 + 0.3 * x**2, 0.4 + 0.3 * x, 0.3 - 0.2 * x], axis=1)


@pytest.mark.parametrize("known", ["propensities", "model", "both", "neither"])
def test_the_doubly_robust_estimate_is_right_if_propensities_or_model_are(known: str) -> None:
    """Planted: the value of always choosing the first action is 0.6."""
    rng, runs, size = np.random.default_rng(7), 400, 1000
    values, held = np.empty(runs), 0
    for run in range(runs):
        x, action, reward, propensity = served(rng, size)
        chances = propensity if known in ("propensities", "both") else np.full(size, 0.5)
        model = rewards(x) if known in ("model", "both") else np.full((size, 3), 0.2)
        told = model[np.arange(size), action.astype(int)]
        found = doubly_robust(reward, (action == 0) / chances, told, model[:, 0])
        assert found.value is not None
        assert found.ci_low is not None
        assert found.ci_high is not None
        values[run] = found.value
        held += found.ci_low <= 0.6 <= found.ci_high
    error = values.std() / runs**0.5
    if known == "neither":
        assert abs(values.mean() - 0.6) > 20 * error
        assert held < 0.5 * runs
    else:
        assert abs(values.mean() - 0.6) < 4 * error
        assert 0.92 <= held / runs <= 0.98


def test_the_model_makes_the_interval_narrower() -> None:
    x, action, reward, propensity = served(np.random.default_rng(8), 5000)
    model = rewards(x)
    weight = (action == 0) / propensity
    told = model[np.arange(x.size), action.astype(int)]
    without, beside = ipw(reward, weight), doubly_robust(reward, weight, told, model[:, 0])
    widths = [float(e.ci_high or 0) - float(e.ci_low or 0) for e in (without, beside)]
    assert widths[1] < 0.8 * widths[0]


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
    assert ipw([], []).reason == "no rows"
    assert ipw([1.0, 2.0], [0.0, 0.0]).reason == "all 2 rows weigh nothing"
    with pytest.raises(ValueError, match="below 0"):
        ipw([1.0, 2.0], [1.0, -1.0])
    with pytest.raises(ValueError, match="are 1 and 2 and 2 and 2 rows"):
        ipw([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="not finite"):
        ipw([1.0, float("nan")], [1.0, 1.0])


def test_what_a_row_of_no_weight_says_is_not_read() -> None:
    found = ipw([1.0, float("nan"), 0.0], [2.0, 0.0, 1.0])
    assert found == ipw([1.0, 5.0, 0.0], [2.0, 0.0, 1.0])
    assert found.value == pytest.approx(2 / 3)
    assert found.effective_n == pytest.approx(9 / 5)
