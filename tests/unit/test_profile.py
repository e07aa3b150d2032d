"""Profiles count every row once, in bins that mean what the counting by Spark means."""

from __future__ import annotations

from itertools import pairwise
from math import inf, isnan, nan, nextafter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.measure.profile import BINS, CATEGORICAL, NUMERIC, edges_of, profile_of

few = st.sampled_from([nan, -inf, -1.5, -0.0, 0.0, 1.0, 2.0, 1e300, inf])
columns = st.lists(few | st.floats(), max_size=200)


@given(columns)
def test_a_bin_is_the_number_of_edges_no_larger_than_the_value(column: list[float]) -> None:
    found = profile_of("age", np.array(column, dtype=float))
    counts: dict[str, int] = {}
    for value in column:
        if not isnan(value):
            bin_ = str(len([edge for edge in found.edges if edge <= value]))
            counts[bin_] = counts.get(bin_, 0) + 1
    assert found.counts == counts
    assert (found.kind, found.n) == (NUMERIC, len(column))
    assert found.missing == sum(map(isnan, column))
    assert found.present == found.n - found.missing


@given(columns)
def test_edges_rise_and_are_few(column: list[float]) -> None:
    edges = edges_of(np.array(column, dtype=float))
    assert all(low < high for low, high in pairwise(edges))
    assert len(edges) < BINS


@given(st.lists(st.floats(), max_size=50), st.randoms(use_true_random=False))
def test_edges_do_not_depend_on_the_order_of_rows(column: list[float], random: object) -> None:
    shuffled = column.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis does not type its Random
    assert edges_of(np.array(column, dtype=float)) == edges_of(np.array(shuffled, dtype=float))


def test_bins_of_many_different_values_have_like_weight() -> None:
    values = np.random.default_rng(3).lognormal(size=10_000)
    counts = profile_of("income", values).counts
    assert len(counts) == BINS
    assert set(counts.values()) <= {499, 500, 501}


def test_edges_are_the_quantiles_of_numpy() -> None:
    values = np.random.default_rng(4).normal(size=1_001)
    wanted = np.quantile(values, [step / 20 for step in range(1, 20)], method="inverted_cdf")
    assert edges_of(values) == tuple(wanted)


def test_leaving_a_value_that_all_had_is_seen_in_both_directions() -> None:
    edges = edges_of(np.zeros(100))
    assert edges == (0.0, nextafter(0.0, inf))
    bins = [sum(edge <= value for edge in edges) for value in (-1e-9, 0.0, 1e-9)]
    assert bins == [0, 1, 2]


@pytest.mark.parametrize("values", [[], [nan, nan]])
def test_nothing_has_no_edges(values: list[float]) -> None:
    found = profile_of("age", np.array(values))
    assert (found.edges, found.counts, found.missing) == ((), {}, len(values))


@given(st.lists(st.none() | st.sampled_from(["a", "b", "", "c d"]), max_size=50))
def test_categories_are_counted_by_themselves(column: list[str | None]) -> None:
    found = profile_of("sex", column)
    assert found.counts == {
        value: column.count(value) for value in set(column) if value is not None
    }
    assert (found.kind, found.n, found.missing) == (CATEGORICAL, len(column), column.count(None))
    assert found.edges == ()
