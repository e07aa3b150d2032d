"""How many rows each cell of a population gives, for a budget. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


def fill(
    shares: npt.ArrayLike, lower: npt.ArrayLike, upper: npt.ArrayLike, budget: float
) -> Numbers:
    """Shares times one factor, each kept within its bounds, so that the sum is `budget`.

    What a bound keeps from one is given to the others, exactly. The sum is less where all that
    have a share are at their upper bound, and more where the lower bounds alone are more.
    A share is 0 or above, a lower bound no higher than the upper.
    """
    share, low, high = (np.asarray(each, dtype=np.float64) for each in (shares, lower, upper))
    claims = share > 0
    bends = np.unique(np.concatenate([(bound[claims] / share[claims]) for bound in (low, high)]))

    def given(factor: float) -> Numbers:
        held: Numbers = np.clip(factor * share, low, high)
        return held

    def total(factor: float) -> float:
        return float(given(factor).sum())

    # The total rises with the factor, in straight pieces between the bends.
    after = bisect_left(bends, budget, key=total)
    if after == bends.size:
        return given(float(bends[-1])) if bends.size else low
    left, right = float(bends[after - 1]) if after else 0.0, float(bends[after])
    if total(left) >= budget:
        return given(left)
    part = (budget - total(left)) / (total(right) - total(left))
    return given(left + part * (right - left))


def chances(sizes: Mapping[str, float], given: Numbers) -> dict[str, float]:
    """The probability of the rows of each cell, of whose rows so many are expected to be kept."""
    return {
        name: min(1.0, float(expected) / size)
        for (name, size), expected in zip(sizes.items(), given, strict=True)
    }


def neyman(sizes: npt.ArrayLike, spreads: npt.ArrayLike, costs: npt.ArrayLike = 1.0) -> Numbers:
    """The shares N·S / √c that make a stratified mean most exact for what its rows cost.

    Where each costs as much, that is for its number of rows.
    Source: J. Neyman, JRSS 97 (1934) 558; W. G. Cochran, Sampling Techniques (1977), 5.5.
    """
    size, spread, cost = (np.asarray(each, dtype=np.float64) for each in (sizes, spreads, costs))
    shares: Numbers = size * spread / np.sqrt(cost)
    return shares


def stratified_variance(
    sizes: npt.ArrayLike, spreads: npt.ArrayLike, given: npt.ArrayLike
) -> float:
    """The variance of a stratified mean, Σ W² S² (1/n - 1/N), with W = N / ΣN.

    `sizes` are N, `spreads` S (with N - 1), `given` n, each above 0.
    Source: W. G. Cochran, Sampling Techniques (1977), theorem 5.3.
    """
    size, spread, rows = (np.asarray(each, dtype=np.float64) for each in (sizes, spreads, given))
    part = size / size.sum()
    return float((part**2 * spread**2 * (1 / rows - 1 / size)).sum())


def poisson_variance(values: npt.ArrayLike, inclusion: npt.ArrayLike) -> float:
    """About the variance of Hájek's mean when each row is kept or not by itself.

    Σ (1 - π) / π · (y - mean)² / N², over the whole population.
    Source: C.-E. Särndal, B. Swensson, J. Wretman, Model Assisted Survey Sampling (1992), 5.7.
    """
    y, p = (np.asarray(each, dtype=np.float64) for each in (values, inclusion))
    return float(((1 - p) / p * (y - y.mean()) ** 2).sum() / y.size**2)
