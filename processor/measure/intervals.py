"""Intervals and corrections of p-values, from counts and sums. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from processor.weighting import deviations

CONFIDENCE = 0.95  # two-sided


def wilson(successes: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval of a share of independent rows, always within [0, 1]; all of it for no rows.

    Source: E. B. Wilson, JASA 22 (1927) 209: the score interval, without continuity correction.

    Raises:
        ValueError: `successes` is not within `[0, n]`.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}")
    if n == 0:
        return 0.0, 1.0
    return wilson_share(successes / n, n, confidence)


def wilson_share(share: float, n: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval of a share of `n` rows, above 0, that need not be whole: as `wilson`."""
    z = deviations(confidence)
    shrink = 1 + z * z / n
    centre = (share + z * z / (2 * n)) / shrink
    half = z / shrink * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At the ends the formula gives 0 and 1 but for rounding.
    low = 0.0 if share == 0 else max(0.0, centre - half)
    return low, 1.0 if share == 1 else min(1.0, centre + half)


def normal_mean(
    total: float, total_of_squares: float, n: int, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """The interval of a mean from its sums: mean ± z · s / √n, with the n - 1 variance.

    Source: the central limit theorem; NIST/SEMATECH e-Handbook, 1.3.5.2, with z for large n.

    Raises:
        ValueError: fewer than two rows, which say nothing of their spread.
    """
    if n < 2:  # noqa: PLR2004  # n - 1 divides
        raise ValueError(f"the spread of a mean needs two rows, not {n}")
    mean = total / n
    variance = max(0.0, total_of_squares - n * mean * mean) / (n - 1)
    return normal(mean, variance / n, confidence)


def normal(value: float, variance: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval of an estimate whose own variance is known: value ± z · √variance."""
    half = deviations(confidence) * sqrt(variance)
    return value - half, value + half


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """The q-value of each p, in the order given: calling q <= r keeps false calls to a share r.

    Source: Y. Benjamini, Y. Hochberg, JRSS B 57 (1995) 289: the step-up procedure.

    Raises:
        ValueError: a value is no probability.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values outside [0, 1]: {list(p_values)}")
    if not p.size:
        return []
    falling = np.argsort(p, kind="stable")[::-1]
    scaled = p[falling] * p.size / np.arange(p.size, 0, -1)
    q = np.empty_like(p)
    q[falling] = np.minimum.accumulate(scaled)
    return [float(each) for each in q]
