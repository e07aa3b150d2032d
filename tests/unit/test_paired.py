"""Paired counts equal statsmodels, and their intervals cover what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.weightstats import DescrStatsW

from processor.evaluate.paired import PairedCounts

TINIEST = 1e-250  # below this the reference gives 0

cells = st.integers(0, 2_000)
tables = st.builds(PairedCounts, cells, cells, cells, cells)


@given(tables)
def test_p_is_the_exact_mcnemar_of_statsmodels(counts: PairedCounts) -> None:
    table = [
        [counts.both_right, counts.only_baseline],
        [counts.only_candidate, counts.both_wrong],
    ]
    differing = counts.only_baseline + counts.only_candidate
    if differing:
        theirs = mcnemar(table, exact=True).pvalue
        assert counts.p == pytest.approx(theirs, rel=1e-9, abs=TINIEST)
        exact = binomtest(counts.only_candidate, differing).pvalue
        assert counts.p == pytest.approx(exact, rel=1e-9, abs=TINIEST)
    else:
        assert counts.p == 1.0


@given(tables.filter(lambda counts: counts.n > 0))
def test_the_difference_is_that_of_the_rows(counts: PairedCounts) -> None:
    baseline = counts.both_right + counts.only_baseline
    candidate = counts.both_right + counts.only_candidate
    assert counts.difference == pytest.approx(candidate / counts.n - baseline / counts.n, abs=1e-12)
    low, high = counts.interval(0.95)
    assert -1 <= low < counts.difference + 1e-12
    assert counts.difference - 1e-12 < high <= 1


@given(tables)
def test_the_interval_is_that_of_a_mean_with_half_a_row_more_in_each_cell(
    counts: PairedCounts,
) -> None:
    """There they divide by one row less than n for the error of a weighted mean."""
    cells = np.array(list(vars(counts).values())) + 0.5
    theirs = DescrStatsW([0, -1, 1, 0], weights=cells, ddof=0)
    half = (theirs.zconfint_mean(0.1)[1] - theirs.mean) * np.sqrt(1 - 1 / cells.sum())
    wanted = (max(-1, theirs.mean - half), min(1, theirs.mean + half))
    assert counts.interval(0.9) == pytest.approx(wanted, abs=1e-12)


def test_models_that_never_differed_are_not_taken_to_be_the_same() -> None:
    few, many = (
        PairedCounts(20, 0, 0, 10).interval(0.95),
        PairedCounts(2000, 0, 0, 0).interval(0.95),
    )
    assert few[0] < -0.05
    assert -0.002 < many[0] < 0


@given(tables)
def test_changing_places_turns_the_sign(counts: PairedCounts) -> None:
    other = PairedCounts(
        counts.both_right, counts.only_candidate, counts.only_baseline, counts.both_wrong
    )
    low, high = counts.interval(0.95)
    assert other.interval(0.95) == pytest.approx((-high, -low))
    assert other.p == counts.p


@pytest.mark.parametrize("n", [30, 200, 1000])
@pytest.mark.parametrize("shares", [(0.7, 0.1, 0.1, 0.1), (0.8, 0.08, 0.02, 0.1)])
def test_the_interval_covers_the_truth_as_often_as_it_says(
    n: int, shares: tuple[float, ...]
) -> None:
    truth = shares[2] - shares[1]
    drawn = np.random.default_rng(5).multinomial(n, shares, size=4_000)
    intervals = [PairedCounts(*map(int, row)).interval(0.95) for row in drawn]
    covered = np.mean([low <= truth <= high for low, high in intervals])
    assert 0.935 < covered < 0.985
