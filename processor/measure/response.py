"""The mean of everybody, where only some answer and nobody knows how likely each was to. Pure.

Whether an inference is answered is learned from what is known of all of them (its features, the
model's score), and so is what an answer says; each row is judged by models that were fitted on
other rows. Together they give the mean of all by `processor.weighting.doubly_robust`.

The assumption: of inferences that are alike in these columns, whether one is answered has nothing
to do with what the answer is. Nothing in the data can tell whether that holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from processor.measure.ridge import linear, logistic
from processor.weighting import CONFIDENCE, Estimate, doubly_robust

FOLDS = 5
THIN, THICK = 0.05, 0.95  # probabilities below and above which hardly anyone is there to compare
MAX_THIN = 0.05  # share of rows below THIN; more: refused
MIN_PER_COLUMN = 10  # answers, and silent rows, for each coefficient of a model
_BINS = 10

Numbers = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Bin(NamedTuple):
    """Rows whose probability of an answer is in [low, high): how many answered, and did not."""

    low: float
    high: float
    answered: int
    silent: int


class Overlap(NamedTuple):
    """Whether those who answered are there to speak for all; `bins` are the plot of it.

    `least` is the smallest probability of an answer, `thin` the share of rows below THIN, and
    `outside` that of rows beyond THIN or THICK. Where of a bin [.3, .4) not some 35 % have
    answered, the model of answering is wrong.
    """

    least: float
    thin: float
    outside: float
    bins: tuple[Bin, ...]


class Response(NamedTuple):
    """The mean of all rows, or why there is none; and the overlap, where answering was modelled."""

    estimate: Estimate
    overlap: Overlap | None


def population_mean(
    ids: Sequence[str],
    features: npt.ArrayLike,
    values: npt.ArrayLike,
    *,
    folds: int = FOLDS,
    min_effective: float = 0.0,
    confidence: float = CONFIDENCE,
) -> Response:
    """The mean of `values` over all rows, those included that are NaN: not answered.

    `features` has a row for each id and a column for each thing known of it, all finite, with the
    model's score among them; what has no linear part in the log odds is given as columns that
    have: squares, an indicator of each category. Both models are logistic, that of the values
    linear if one is outside [0, 1]. A row's fold follows from its id alone. The interval is that
    of the influence function.

    Refused where there are fewer than MIN_PER_COLUMN answers or silent rows for a coefficient
    (of few that are silent the plain mean says enough), where more than MAX_THIN of the rows have
    a probability below THIN, and below `min_effective`. For up to that share of rows nearly nobody
    speaks: they move the mean by at most their share of the range of the values.

    Sources: J. Robins, A. Rotnitzky, L. Zhao, JASA 89 (1994) 846; V. Chernozhukov and others,
    Econom. J. 21 (2018) C1, for the folds; R. Crump and others, Biometrika 96 (2009) 187, for
    overlap.

    Raises:
        ValueError: not as many ids, rows and values, an id twice, or a feature that is not finite.
    """
    y = np.asarray(values, dtype=np.float64)
    x = np.asarray(features, dtype=np.float64)
    x = x[:, np.newaxis] if x.ndim == 1 else x  # one column
    if not len(ids) == len(set(ids)) == y.size == len(x):
        different = f"{len(ids)} ids, {len(set(ids))} of them different"
        raise ValueError(f"{different}, for {y.size} values and {len(x)} rows of features")
    if not np.isfinite(x).all():
        raise ValueError("a feature is not finite")
    answered = ~np.isnan(y)
    n, said, least = y.size, int(answered.sum()), MIN_PER_COLUMN * (x.shape[1] + 1)
    if min(said, n - said) < least:
        reason = f"{said} answered of {n}: fewer than {least} answers, or silent rows"
        return Response(Estimate(n, float(said), reason=reason), None)
    chance, told = _crossed(x, y, answered, folds_of(ids, folds))
    found = overlap(chance, answered)
    weights = answered / chance
    if found.thin > MAX_THIN:
        reason = (
            f"{found.thin:.1%} of {n} rows are answered with a probability below {THIN:g}, "
            f"more than {MAX_THIN:.0%}: hardly anyone speaks for them"
        )
        return Response(Estimate(n, float(said), reason=reason), found)
    estimate = doubly_robust(
        y, weights, told, told, min_effective=min_effective, confidence=confidence
    )
    return Response(estimate, found)


def overlap(chance: Numbers, answered: Bools) -> Overlap:
    """How rows lie by their probability of an answer; there is at least one."""
    edges = np.linspace(0, 1, _BINS + 1)
    place = np.minimum((chance * _BINS).astype(int), _BINS - 1)
    counts = (np.bincount(place[of], minlength=_BINS) for of in (answered, ~answered))
    bins = zip(edges[:-1], edges[1:], *counts, strict=True)
    return Overlap(
        float(chance.min()),
        float((chance < THIN).mean()),
        float(((chance < THIN) | (chance > THICK)).mean()),
        tuple(Bin(float(low), float(high), int(yes), int(no)) for low, high, yes, no in bins),
    )


def folds_of(ids: Sequence[str], folds: int) -> npt.NDArray[np.int64]:
    """The fold of each id: the same in any order, and beside any others."""
    digests = (hashlib.sha256(f"fold|{name}".encode()).digest() for name in ids)
    return np.array([int.from_bytes(each[:8], "big") % folds for each in digests], np.int64)


def _crossed(
    x: Numbers, y: Numbers, answered: Bools, fold: npt.NDArray[np.int64]
) -> tuple[Numbers, Numbers]:
    """Of each row the probability of an answer and the expected value, fitted without its fold."""
    chance, told = np.empty(y.size), np.empty(y.size)
    is_share = bool(((y[answered] >= 0) & (y[answered] <= 1)).all())
    for own in np.unique(fold):
        mine, others = fold == own, fold != own
        chance[mine] = logistic(x[others], answered[others].astype(np.float64), x[mine])
        heard = others & answered
        model = logistic if is_share else linear
        told[mine] = model(x[heard], y[heard], x[mine])
    return chance, told
