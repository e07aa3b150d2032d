"""Budgets: filled exactly, within bounds, and as the closed forms say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from processor.datasets.allotment import fill, neyman, poisson_variance, stratified_variance

CELL = st.tuples(
    st.sampled_from([0.0, 0.01, 1.0, 1.0, 3.0, 500.0]),  # share
    st.integers(0, 3),  # lower
    st.integers(1, 50),  # upper
)
CELLS = st.lists(CELL, min_size=1, max_size=12)


@given(cells=CELLS, budget=st.integers(1, 400))
def test_what_is_given_is_in_bounds_in_proportion_and_as_much_as_was_asked(
    cells: list[tuple[float, int, int]], budget: int
) -> None:
    share = np.array([cell[0] for cell in cells])
    low = np.array([min(cell[1], cell[2]) for cell in cells], dtype=float)
    high = np.array([cell[2] for cell in cells], dtype=float)
    found = fill(share, low, high, budget)
    assert (found >= low - 1e-9).all()
    assert (found <= high + 1e-9).all()
    most = np.where(share > 0, high, low).sum()
    assert found.sum() == pytest.approx(min(max(budget, low.sum()), most), rel=1e-12)
    inside = (found > low + 1e-9) & (found < high - 1e-9)
    factors = found[inside] / share[inside]
    assert factors.size == 0 or factors.max() == pytest.approx(factors.min(), rel=1e-9)
    assert (found[share == 0] == low[share == 0]).all()


def test_the_factor_is_the_root_that_scipy_finds() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        size = rng.integers(1, 200, 30).astype(float)
        share = size * rng.exponential(size=30) ** 3
        budget = float(rng.uniform(1, size.sum() - 1))

        def over(
            factor: float, share: object = share, size: object = size, asked: float = budget
        ) -> float:
            return float(np.minimum(factor * np.asarray(share), np.asarray(size)).sum() - asked)

        root = brentq(over, 0, (size / share).max(), xtol=1e-14, rtol=1e-14)
        expected = np.minimum(root * share, size)
        assert fill(share, np.zeros(30), size, budget) == pytest.approx(expected, rel=1e-8)


def test_neyman_is_the_closed_form_and_no_other_allotment_is_more_exact() -> None:
    size = np.array([5000.0, 3000.0, 2000.0])
    spread = np.array([0.5, 0.1, 0.3])
    rows = 600
    found = fill(neyman(size, spread), np.ones(3), size, rows)
    expected = rows * size * spread / (size * spread).sum()
    assert found == pytest.approx(expected, rel=1e-12)
    part = size / size.sum()
    # Cochran, 5.27: the least variance there is.
    least = (part * spread).sum() ** 2 / rows - (part * spread**2).sum() / size.sum()
    assert stratified_variance(size, spread, found) == pytest.approx(least, rel=1e-12)
    rng = np.random.default_rng(1)
    for weights in rng.dirichlet(np.ones(3), 200):
        other = np.clip(rows * weights, 1, size)
        assert stratified_variance(size, spread, other) >= least * (1 - 1e-12)


def test_the_variances_are_those_of_many_draws() -> None:
    rng = np.random.default_rng(3)
    y = rng.normal(size=400) + np.repeat([0.0, 2.0], 200)
    p = np.repeat([0.2, 0.6], 200)
    kept = rng.random((20_000, y.size)) < p
    means = (kept * y / p).sum(1) / (kept / p).sum(1)
    assert means.var() == pytest.approx(poisson_variance(y, p), rel=0.05)
    halves = y[:200], y[200:]
    drawn = [
        rng.choice(halves[0], 20, replace=False).mean() / 2
        + rng.choice(halves[1], 60, replace=False).mean() / 2
        for _ in range(10_000)
    ]
    spreads = [half.std(ddof=1) for half in halves]
    expected = stratified_variance([200, 200], spreads, [20, 60])
    assert np.var(drawn) == pytest.approx(expected, rel=0.06)
