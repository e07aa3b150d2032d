"""chi2: the chi-squared test that two samples come from one distribution."""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt
import scipy

from processor.measure.drift.base import Counts, DriftScore, DriftTest, aligned
from processor.measure.profile import CATEGORICAL, Profile

MIN_EXPECTED = 5  # rows; rarer bins are counted as one, for the chi-squared limit to hold
MIN_EFFECT = 0.1  # Cramér's V; J. Cohen, Statistical Power Analysis (1988), ch. 7: "small"


def score(before: Profile, now: Profile) -> DriftScore:
    """Pearson's statistic of homogeneity, and Cramér's V of the two distributions.

    Bins in which either sample expects fewer than `MIN_EXPECTED` rows are counted as one bin,
    never left out: a new value has to be seen. V is that of samples of equal size with the same
    shares: Cramér's own shrinks, whatever the drift, as one sample outgrows the other.

    Sources: K. Pearson, Phil. Mag. 50 (1900) 157, without continuity correction; W. G. Cochran,
    Biometrics 10 (1954) 417 (expected counts); H. Cramér, Mathematical Methods (1946), 21.9.
    """
    table = _rare_as_one(np.stack(aligned(before, now)))
    freedom = table.shape[1] - 1
    if not freedom:
        return DriftScore(0.0, 1.0, 0.0)
    shares = table / table.sum(axis=1, keepdims=True)
    statistic = _pearson(table.astype(np.float64))
    effect = sqrt(_pearson(shares) / shares.sum())
    return DriftScore(statistic, float(scipy.special.chdtrc(freedom, statistic)), effect)


def _expected(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    of_rows, of_bins = table.sum(axis=1, keepdims=True), table.sum(axis=0, keepdims=True)
    expected: npt.NDArray[np.float64] = of_rows * of_bins / table.sum()
    return expected


def _pearson(table: npt.NDArray[np.float64]) -> float:
    expected = _expected(table)
    return float(((table - expected) ** 2 / expected).sum())


def _rare_as_one(table: Counts) -> Counts:
    rare = _expected(table.astype(np.float64)).min(axis=0) < MIN_EXPECTED
    if rare.sum() <= 1:
        return table
    return np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])


ENTRY = DriftTest("chi2", frozenset({CATEGORICAL}), score, MIN_EFFECT)
