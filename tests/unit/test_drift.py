"""Drift tests equal scipy's on the same bins; covariate drift finds what was planted."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, false_discovery_control, ks_2samp, kstwobign
from scipy.stats.contingency import association

from processor.loops import LoopConfig
from processor.measure import covariate
from processor.measure.covariate import DRIFT, DRIFT_Q, MIN_ROWS, STABLE, covariate_drift
from processor.measure.drift import chi2, ks, psi
from processor.measure.profile import CATEGORICAL, NUMERIC, Profile, edges_of, profile_of
from processor.measurements import INSUFFICIENT, Measurement

LOOP = LoopConfig.model_validate(
    {
        "loop": "employment",
        "model": "classifier",
        "outcome": {"metric": "employed", "from": "ground_truth", "window": "14d"},
    }
)


def categorical(*counts: int, missing: int = 0) -> Profile:
    named = {f"v{i}": n for i, n in enumerate(counts) if n}
    return Profile("sex", CATEGORICAL, named, missing, sum(counts) + missing)


def binned(values: np.ndarray, edges: tuple[float, ...]) -> np.ndarray:
    return np.searchsorted(edges, values, side="right").astype(float)


def numeric(values: np.ndarray, edges: tuple[float, ...], name: str = "age") -> Profile:
    """Values binned by edges that are not their own, as a batch's are."""
    bins, counts = np.unique(binned(values, edges).astype(int), return_counts=True)
    named = {str(b): int(n) for b, n in zip(bins, counts, strict=True)}
    return Profile(name, NUMERIC, named, 0, values.size, edges)


def statistic(one: np.ndarray, other: np.ndarray) -> float:
    """SciPy's; of its p, which is not asked for, it may warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(ks_2samp(one, other, method="asymp").statistic)


@given(st.integers(0, 2**32), st.integers(1, 400), st.integers(1, 400), st.floats(-1, 1))
def test_ks_is_scipys_on_the_bins(seed: int, n: int, m: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.normal(size=n), rng.normal(shift, 1, size=m)
    edges = edges_of(one)
    found = ks.score(profile_of("age", one), numeric(other, edges))
    theirs = statistic(binned(one, edges), binned(other, edges))
    assert found.statistic == found.effect == pytest.approx(theirs, abs=1e-12)
    assert found.p == pytest.approx(kstwobign.sf(np.sqrt(n * m / (n + m)) * theirs))
    assert found.statistic <= statistic(one, other) + 1e-12


def test_the_p_of_ks_is_scipys_exact_one_but_for_the_limit() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=5_000), rng.normal(0.05, 1, size=4_000)
    edges = edges_of(one)
    # scipy's p is that of kstwo with n·m / (n + m) rows
    exact = ks_2samp(binned(one, edges), binned(other, edges), method="asymp").pvalue
    found = ks.score(profile_of("age", one), numeric(other, edges)).p
    assert found is not None
    assert exact <= found == pytest.approx(exact, rel=0.05)


@given(st.lists(st.tuples(st.integers(10, 900), st.integers(10, 900)), min_size=2, max_size=12))
def test_chi2_is_scipys(columns: list[tuple[int, int]]) -> None:
    one, other = zip(*columns, strict=True)
    found = chi2.score(categorical(*one), categorical(*other))
    theirs = chi2_contingency([one, other], correction=False)
    if theirs.expected_freq.min() >= chi2.MIN_EXPECTED:
        assert found.statistic == pytest.approx(theirs.statistic, abs=1e-9)
        assert found.p == pytest.approx(theirs.pvalue, abs=1e-12)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=2, max_size=8))
def test_the_effect_is_scipys_cramers_v_when_both_have_as_many_rows(
    columns: list[tuple[int, int]],
) -> None:
    one, other = (np.array(side) for side in zip(*columns, strict=True))
    n = int(one.sum() * other.sum()) * chi2.MIN_EXPECTED  # both scaled to n rows, none rare
    one, other = one * (n // one.sum()), other * (n // other.sum())
    theirs = association(np.stack([one, other]), method="cramer")
    assert chi2.score(categorical(*one), categorical(*other)).effect == pytest.approx(
        theirs, abs=1e-7
    )


def test_the_effect_does_not_shrink_as_the_reference_grows() -> None:
    small = chi2.score(categorical(500, 500), categorical(800, 200))
    large = chi2.score(categorical(50_000, 50_000), categorical(800, 200))
    assert small.effect == pytest.approx(large.effect) == pytest.approx(0.3145, abs=1e-4)


def test_rare_values_are_counted_as_one() -> None:
    found = chi2.score(categorical(5000, 4000, 3, 2, 1, 0), categorical(300, 250, 0, 4, 0, 9))
    theirs = chi2_contingency([[5000, 4000, 6], [300, 250, 13]], correction=False)
    assert found.statistic == pytest.approx(theirs.statistic)
    assert found.p == pytest.approx(theirs.pvalue)


def test_a_new_value_is_seen() -> None:
    found = chi2.score(categorical(5000, 5000, 0), categorical(450, 450, 100))
    assert found.p is not None
    assert found.p < 1e-9
    assert found.effect > chi2.MIN_EFFECT


def test_one_value_cannot_drift() -> None:
    found = chi2.score(categorical(500), categorical(3))
    assert (found.statistic, found.p, found.effect) == (0.0, 1.0, 0.0)


def test_psi_is_the_sum_written_out() -> None:
    found = psi.score(categorical(50, 30, 20), categorical(200, 500, 300))
    parts = [(0.2 - 0.5) * log(0.2 / 0.5), (0.5 - 0.3) * log(0.5 / 0.3), 0.1 * log(0.3 / 0.2)]
    assert found.statistic == found.effect == pytest.approx(sum(parts))
    assert found.p is None


def test_the_score_of_an_empty_bin_never_changes() -> None:
    """0.0999 · ln(0.1 / 0.0001) for the bin, and 0.0105 for the others that make room for it."""
    found = psi.score(categorical(1000, 1000, 0), categorical(900, 900, 200))
    assert found.statistic == pytest.approx(0.700610, abs=1e-6)


def test_bins_of_numbers_are_in_order_of_size() -> None:
    """As text, 10 comes before 9, and a shift by one bin would look like one by half of them."""
    edges = tuple(float(edge) for edge in range(12))
    one = Profile("age", NUMERIC, {"9": 50, "10": 50}, 0, 100, edges)
    other = Profile("age", NUMERIC, {"1": 20, "9": 50, "10": 30}, 0, 100, edges)
    assert ks.score(one, other).statistic == pytest.approx(0.2)


@pytest.mark.parametrize("score", [ks.score, chi2.score, psi.score])
def test_bins_that_mean_other_things_are_not_compared(score: object) -> None:
    one = Profile("age", NUMERIC, {"0": 5}, 0, 5, (1.0,))
    other = Profile("age", NUMERIC, {"0": 5}, 0, 5, (2.0,))
    with pytest.raises(ValueError, match="not binned alike"):
        score(one, other)  # type: ignore[operator]  # parametrize forgets the type
    with pytest.raises(ValueError, match="no values"):
        score(one, Profile("age", NUMERIC, {}, 5, 5, (1.0,)))  # type: ignore[operator]  # as above


def world(
    before: Mapping[str, Profile], now: Mapping[str, Profile]
) -> dict[tuple[str | None, str], Measurement]:
    found = list(covariate_drift(LOOP, "2", "1", before, now))
    by_key = {(m.feature, m.metric): m for m in found}
    assert len(by_key) == len(found)
    return by_key


@pytest.fixture(scope="module")
def planted() -> dict[tuple[str | None, str], Measurement]:
    """Features that stayed, moved a little, and moved, numeric and categorical."""
    rng = np.random.default_rng(11)
    before: dict[str, Profile] = {}
    now: dict[str, Profile] = {}
    for name, shift in (("stayed", 0.0), ("little", 0.08), ("moved", 0.8)):
        values = rng.normal(size=40_000)
        before[name] = profile_of(name, values)
        now[name] = numeric(rng.normal(shift, 1, 20_000), edges_of(values), name)
    for name, p in (("same", 0.5), ("slight", 0.53), ("other", 0.7)):
        before[name] = profile_of(name, rng.choice(["a", "b"], 40_000).tolist())
        now[name] = profile_of(name, rng.choice(["a", "b"], 20_000, p=[p, 1 - p]).tolist())
    return world(before, now)


def test_what_was_planted_is_found(planted: dict[tuple[str | None, str], Measurement]) -> None:
    wanted = {"stayed": STABLE, "little": STABLE, "moved": DRIFT}
    assert {f: planted[f, "drift.ks"].verdict for f in wanted} == wanted
    wanted = {"same": STABLE, "slight": STABLE, "other": DRIFT}
    assert {f: planted[f, "drift.chi2"].verdict for f in wanted} == wanted


def test_what_is_real_but_small_is_stable_and_says_so(
    planted: dict[tuple[str | None, str], Measurement],
) -> None:
    for one in (planted["little", "drift.ks"], planted["slight", "drift.chi2"]):
        assert one.q is not None
        assert one.q <= DRIFT_Q
        assert one.reason is not None
        assert "does not matter" in one.reason


def test_q_is_over_the_features_of_both_tests(
    planted: dict[tuple[str | None, str], Measurement],
) -> None:
    tested = [m for m in planted.values() if m.metric != "drift.psi"]
    assert len(tested) == 6
    wanted = false_discovery_control([m.p for m in tested if m.p is not None])
    assert [m.q for m in tested] == pytest.approx(list(wanted))


def test_every_measurement_says_what_it_is(
    planted: dict[tuple[str | None, str], Measurement],
) -> None:
    assert len(planted) == 12
    for one in planted.values():
        named = (one.loop, one.model_name, one.model_version, one.reference, one.slice, one.window)
        assert named == ("employment", "classifier", "2", "1", "all", "batch")
        assert one.n == 20_000
        assert one.value == one.effect
        assert one.statistic is not None
    scores = [m for m in planted.values() if m.metric == "drift.psi"]
    assert {(m.p, m.q, m.verdict) for m in scores} == {(None, None, None)}


def test_a_feature_of_one_side_alone_is_insufficient() -> None:
    found = world({"gone": categorical(500, 500)}, {"new": categorical(300, 400)})
    assert found["gone", "drift.chi2"].reason == "the batch has no such feature"
    assert found["new", "drift.psi"].reason == "the reference has no such feature"
    assert {m.verdict for m in found.values()} == {INSUFFICIENT}
    assert {(f, m.n) for (f, _), m in found.items()} == {("gone", 0), ("new", 700)}
    assert {(m.value, m.statistic, m.p, m.q, m.effect) for m in found.values()} == {(None,) * 5}


@pytest.mark.parametrize(
    ("before", "now", "side"),
    [
        (categorical(5000), categorical(MIN_ROWS - 1, missing=5000), "batch"),
        (categorical(MIN_ROWS - 1, missing=5000), categorical(5000), "reference"),
    ],
)
def test_too_few_values_are_insufficient_on_either_side(
    before: Profile, now: Profile, side: str
) -> None:
    found = world({"sex": before}, {"sex": now})["sex", "drift.chi2"]
    assert found.verdict == INSUFFICIENT
    assert found.reason == f"the {side} has {MIN_ROWS - 1} values, fewer than {MIN_ROWS}"


def test_enough_values_are_enough() -> None:
    found = world({"sex": categorical(MIN_ROWS)}, {"sex": categorical(MIN_ROWS)})
    assert found["sex", "drift.chi2"].verdict == STABLE


def test_features_binned_otherwise_are_insufficient() -> None:
    one = Profile("age", NUMERIC, {"0": 900}, 0, 900, (1.0,))
    other = Profile("age", NUMERIC, {"0": 900}, 0, 900, (2.0,))
    found = world({"age": one}, {"age": other})
    assert {m.verdict for m in found.values()} == {INSUFFICIENT}
    text = Profile("age", CATEGORICAL, {"0": 900}, 0, 900)
    both_kinds = world({"age": one}, {"age": text})
    assert {m.metric for m in both_kinds.values()} == {"drift.ks", "drift.chi2", "drift.psi"}
    assert {m.verdict for m in both_kinds.values()} == {INSUFFICIENT}


def test_without_features_nothing_is_measured() -> None:
    assert world({}, {}) == {}


def test_without_drift_few_features_are_called() -> None:
    """Of 2,000 features that stayed, none or next to none is said to drift, at 300 rows each."""
    rng = np.random.default_rng(12)
    shares = 1 / np.arange(1, 21)
    shares /= shares.sum()
    before = {f"f{i}": categorical(*rng.multinomial(5_000, shares)) for i in range(2_000)}
    now = {name: categorical(*rng.multinomial(300, shares)) for name in before}
    found = world(before, now)
    assert sum(m.verdict == DRIFT for m in found.values()) <= 2
    raw = [m.p for m in found.values() if m.p is not None]
    assert np.mean(np.array(raw) <= 0.05) == pytest.approx(0.05, abs=0.02)


def test_every_test_has_its_file() -> None:
    assert {test.name for test in covariate.TESTS} >= {"ks", "chi2", "psi"}
