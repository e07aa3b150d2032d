"""Estimates from rows that were chosen with known, unequal probabilities. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

CONFIDENCE = 0.95  # two-sided


def deviations(confidence: float) -> float:
    """Standard deviations to either side of the mean that have this share of a normal."""
    return float(scipy.special.ndtri(0.5 + confidence / 2))


Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean and its interval, or a `reason` why the rows cannot support one.

    `clipped` is the share of all weight that clipping took away; what the mean without clipping
    may differ by is said where the estimate is made.
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
    Weights above `clip` count as `clip`; the mean without it is no further off than `clipped` times
    the range of the values. The interval is the normal one of the linearised ratio, with the
    variance Σ w² (y - mean)² / (Σw)².

    Sources: J. Hájek, comment in Foundations of Statistical Inference (1971) 236; A. Swaminathan,
    T. Joachims, NIPS 28 (2015); A. Owen, Monte Carlo theory (2013), 9.2 and equation 9.9.

    Raises:
        ValueError: as many weights as values are needed, each above 0 and finite.
    """
    y, raw = np.asarray(values, dtype=np.float64), _weights(weights)
    if y.shape != raw.shape:
        raise ValueError(f"{y.size} values and {raw.size} weights")
    w, lost = _clipped(raw, clip)
    n, effective = int(y.size), effective_size(w)
    if reason := _too_few(n, effective, min_effective):
        return Estimate(n, effective, reason=reason)
    total = w.sum()
    mean = float((w * y).sum() / total)
    error = float(np.sqrt(((w * (y - mean)) ** 2).sum()) / total)
    return _estimate(n, effective, mean, error, confidence, lost)


def ipw(
    values: npt.ArrayLike,
    weights: npt.ArrayLike,
    *,
    min_effective: float = 0.0,
    clip: float | None = None,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """The mean of wy over all rows that were logged: unbiased, where `hajek` is steadier.

    With w = target propensity / logged propensity it is the value of a policy that did not serve
    (IPW); with w = 1 / inclusion probability, or 0 for what was not chosen, that of Horvitz and
    Thompson. Refusals, `clip` and the interval are those of `doubly_robust` without a model.

    Sources: D. Horvitz, D. Thompson, JASA 47 (1952) 663; A. Strehl, J. Langford, L. Li,
    S. Kakade, NIPS 23 (2010).

    Raises:
        ValueError: as many weights as values are needed, none below 0, each finite.
    """
    nothing = np.zeros(np.shape(weights))
    return doubly_robust(
        *(values, weights, nothing, nothing),
        min_effective=min_effective,
        clip=clip,
        confidence=confidence,
    )


def doubly_robust(
    values: npt.ArrayLike,
    weights: npt.ArrayLike,
    predicted: npt.ArrayLike,
    expected: npt.ArrayLike,
    *,
    min_effective: float = 0.0,
    clip: float | None = None,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """The mean of q + w (y - p): right if the weights are, or else if the model is (AIPW, DR).

    For each row a model says `predicted`, p, of what was served, and `expected`, q, of what the
    target policy would serve; where rows were chosen and not outputs, these are the same. The
    model was fitted on other rows. A row of weight 0 has no value: whatever stands there is not
    read. Weights above `clip` count as `clip`; the mean without it is no further off than
    `clipped` times the mean weight times the largest |y - p|. The interval is the normal one of a
    mean of independent rows.

    Sources: J. Robins, A. Rotnitzky, L. Zhao, JASA 89 (1994) 846; M. Dudík, D. Erhan,
    J. Langford, L. Li, Statist. Sci. 29 (2014) 485.

    Raises:
        ValueError: the columns are not of one length, a weight is below 0, or a number that is
            read is not finite.
    """
    raw = np.asarray(weights, dtype=np.float64)
    y, p, q = (np.asarray(each, dtype=np.float64) for each in (values, predicted, expected))
    if not y.shape == raw.shape == p.shape == q.shape:
        sizes = " and ".join(str(each.size) for each in (y, raw, p, q))
        raise ValueError(f"values, weights, predicted and expected are {sizes} rows")
    if not ((raw >= 0) & np.isfinite(raw)).all():
        raise ValueError("a weight is below 0, or not finite")
    counts = raw > 0
    if not (np.isfinite(y[counts]).all() and np.isfinite(p).all() and np.isfinite(q).all()):
        raise ValueError("a value, or what a model says, is not finite")
    w, lost = _clipped(raw, clip)
    n, effective = int(y.size), effective_size(w[counts])
    reason = _too_few(n, effective, min_effective)
    if not reason and n == 1:
        reason = "one row has no spread"
    if reason:
        return Estimate(n, effective, reason=reason)
    said = q + w * np.where(counts, y - p, 0.0)
    error = float(said.std(ddof=1) / np.sqrt(n))
    return _estimate(n, effective, float(said.mean()), error, confidence, lost)


def _clipped(weights: Numbers, clip: float | None) -> tuple[Numbers, float]:
    """The weights, none above `clip`, and the share of all weight that this took."""
    if clip is None:
        return weights, 0.0
    w = np.minimum(weights, clip)
    total = float(weights.sum())
    return w, float(1 - w.sum() / total) if total else 0.0


def _too_few(n: int, effective: float, least: float) -> str | None:
    if not n:
        return "no rows"
    if not effective:
        return f"all {n} rows weigh nothing"
    if effective >= least:
        return None
    return f"{effective:.1f} effective rows of {n}, fewer than {least:g}"


def _estimate(
    n: int, effective: float, mean: float, error: float, confidence: float, lost: float
) -> Estimate:
    """A mean with the normal interval of its standard error."""
    half = deviations(confidence) * error
    return Estimate(n, effective, mean, mean - half, mean + half, lost)


def _weights(weights: npt.ArrayLike) -> Numbers:
    w = np.asarray(weights, dtype=np.float64)
    if not ((w > 0) & np.isfinite(w)).all():
        raise ValueError("a weight is not above 0, or not finite")
    return w
