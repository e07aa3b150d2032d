"""Estimates from rows that were chosen with known, unequal probabilities. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

CONFIDENCE = 0.95  # two-sided

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A weighted mean and its interval, or a `reason` why the rows cannot support one.

    `clipped` is the share of all weight that clipping took away; the mean without clipping is
    no further off than `clipped` times the range of the values.
    """

    n: int
    effective_n: float
    value: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    clipped: float = 0.0
    reason: str | None = None


def effective_size(weights: npt.ArrayLike) -> float:
    """How many rows of equal weight say as much: (Σw)² / Σw², from 1 to the number of rows.

    No rows are 0. Source: L. Kish, Survey Sampling (1965), 11.7; unchanged by a common factor.

    Raises:
        ValueError: a weight is not above 0, or not finite.
    """
    w = _weights(weights)
    if not w.size:
        return 0.0
    scaled = w / w.max()  # squares of large weights would overflow
    return float(scaled.sum() ** 2 / (scaled**2).sum())


def hajek(
    values: npt.ArrayLike,
    weights: npt.ArrayLike,
    *,
    min_effective: float = 0.0,
    clip: float | None = None,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """The self-normalised weighted mean Σwy / Σw, refused where the effective size is too small.

    With w = 1 / inclusion probability it is Hájek's estimate of a population's mean; with w =
    target propensity / logged propensity, the value of a policy that did not serve (SNIPW).
    Weights above `clip` count as `clip`. The interval is the normal one of the linearised ratio,
    with the variance Σ w² (y - mean)² / (Σw)².

    Sources: J. Hájek, comment in Foundations of Statistical Inference (1971) 236; A. Swaminathan,
    T. Joachims, NIPS 28 (2015); A. Owen, Monte Carlo theory (2013), 9.2 and equation 9.9.

    Raises:
        ValueError: as many weights as values are needed, each above 0 and finite.
    """
    y, raw = np.asarray(values, dtype=np.float64), _weights(weights)
    if y.shape != raw.shape:
        raise ValueError(f"{y.size} values and {raw.size} weights")
    w = raw if clip is None else np.minimum(raw, clip)
    n, effective = int(y.size), effective_size(w)
    if not n or effective < min_effective:
        reason = f"{effective:.1f} effective rows of {n}, fewer than {min_effective:g}"
        return Estimate(n, effective, reason=reason if n else "no rows")
    total = w.sum()
    mean = float((w * y).sum() / total)
    error = float(np.sqrt(((w * (y - mean)) ** 2).sum()) / total)
    half = float(ndtri(0.5 + confidence / 2)) * error
    lost = float(1 - total / raw.sum())
    return Estimate(n, effective, mean, mean - half, mean + half, lost)


def _weights(weights: npt.ArrayLike) -> Numbers:
    w = np.asarray(weights, dtype=np.float64)
    if not ((w > 0) & np.isfinite(w)).all():
        raise ValueError("a weight is not above 0, or not finite")
    return w
