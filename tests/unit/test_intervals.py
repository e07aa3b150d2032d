"""Intervals and q-values equal those of statsmodels and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from processor.measure.intervals import benjamini_hochberg, normal_mean, wilson

probabilities = st.floats(0, 1, allow_nan=False)


@given(n=st.integers(1, 10_000), share=probabilities, confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_is_statsmodels_wilson(n: int, share: float, confidence: float) -> None:
    successes = round(n * share)
    low, high = wilson(successes, n, confidence)
    theirs = proportion_confint(successes, n, alpha=1 - confidence, method="wilson")
    assert (low, high) == pytest.approx(theirs, abs=1e-12)
    assert 0 <= low <= successes / n <= high <= 1


def test_wilson_of_nothing_is_everything() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("successes", [-1, 4])
def test_wilson_refuses_more_successes_than_rows(successes: int) -> None:
    with pytest.raises(ValueError, match="of 3"):
        wilson(successes, 3)


@given(st.lists(st.floats(0, 40), min_size=2, max_size=200), st.sampled_from([0.9, 0.95]))
def test_the_interval_of_a_mean_is_statsmodels(values: list[float], confidence: float) -> None:
    rows = np.array(values)
    ours = normal_mean(rows.sum(), (rows**2).sum(), rows.size, confidence)
    theirs = DescrStatsW(rows).zconfint_mean(alpha=1 - confidence)
    assert ours == pytest.approx(theirs, abs=1e-5)  # sums of squares cancel where all are alike


def test_a_mean_of_one_row_has_no_interval() -> None:
    with pytest.raises(ValueError, match="two rows"):
        normal_mean(1.0, 1.0, 1)


@given(st.lists(probabilities, min_size=1, max_size=60))
def test_q_values_are_scipys(p_values: list[float]) -> None:
    assert benjamini_hochberg(p_values) == pytest.approx(false_discovery_control(p_values))


def test_no_p_values_have_no_q_values() -> None:
    assert benjamini_hochberg([]) == []


@pytest.mark.parametrize("wrong", [float("nan"), -0.1, 1.1])
def test_q_values_of_what_is_no_probability_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="outside"):
        benjamini_hochberg([0.5, wrong])
