"""How far raters agree beyond chance: Krippendorff's alpha, from counts of coincidences. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from processor.measure.intervals import CONFIDENCE
from processor.measurements import INSUFFICIENT, Measurement

Matrix = npt.NDArray[np.float64]
Scale = Literal["nominal", "ordinal", "interval"]

MOST_VALUES = 100
"""More different values than these are not compared: their matrices would not be small."""
REPLICATES, SEED = 1000, 7
"""Of the bootstrap: the same ratings give the same interval."""


@dataclass(frozen=True)
class Ratings:
    """Coincidences of rising `values`: `parts` is parts of the units x values x values.

    `units` have two ratings or more each.
    """

    values: tuple[Any, ...]
    parts: Matrix
    units: int


def agreement(
    rows: Iterable[Mapping[str, Any]], scale: Scale, blank: Measurement, least: int
) -> Measurement:
    """Alpha of the rows of a window, with the 95 % interval of a bootstrap over its units.

    `rows` are those of `coincidences`; `n` counts units. No value for fewer than `least` units,
    for more than MOST_VALUES values, or where every rating is the same.
    """
    listed = sorted(rows, key=lambda row: (row["part"], row["one"], row["other"]))
    told = replace(blank, n=units_of(listed))
    if told.n < least:
        few = f"{told.n} inferences with two ratings or more, fewer than {least}"
        return replace(told, verdict=INSUFFICIENT, reason=few)
    if (found := len({row["one"] for row in listed})) > MOST_VALUES:
        many = f"{found} different ratings, more than the {MOST_VALUES} that are compared"
        return replace(told, verdict=INSUFFICIENT, reason=many)
    ratings = ratings_of(listed)
    value = float(alpha(ratings.parts.sum(axis=0), ratings.values, scale))
    if np.isnan(value):
        same = "every rating is the same: nothing shows what chance would do"
        return replace(told, verdict=INSUFFICIENT, reason=same)
    low, high = interval(ratings, scale)
    return replace(told, value=value, ci_low=low, ci_high=high)


def units_of(rows: Iterable[Mapping[str, Any]]) -> int:
    """How many inferences the pairs are of."""
    return round(float(sum(row["units"] for row in rows)))


def ratings_of(rows: Iterable[Mapping[str, Any]]) -> Ratings:
    """Rows of a window as matrices."""
    listed = list(rows)
    values = _placed(row["one"] for row in listed)
    parts = _placed(row["part"] for row in listed)
    counted = np.zeros((len(parts), len(values), len(values)))
    for row in listed:
        counted[parts[row["part"]], values[row["one"]], values[row["other"]]] = row["weight"]
    return Ratings(tuple(values), counted, units_of(listed))


def alpha(coincidences: Matrix, values: tuple[Any, ...], scale: Scale) -> Matrix:
    """1 - observed / expected disagreement of each matrix: the last two axes. NaN for no variety.

    Source: K. Krippendorff, Computing Krippendorff's alpha-reliability (2011).
    """
    given = coincidences.sum(axis=-1)
    far = _distances(given, values, scale)
    by_chance = given[..., :, None] * given[..., None, :]
    observed, expected = ((each * far).sum(axis=(-2, -1)) for each in (coincidences, by_chance))
    ratings = given.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Matrix = np.where(expected > 0, 1 - (ratings - 1) * observed / expected, np.nan)
    return found


def interval(ratings: Ratings, scale: Scale) -> tuple[float, float]:
    """Percentiles of alpha over units drawn with replacement, a part of them at a time.

    A draw without variety says nothing.
    Source: B. Efron, R. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    parts = len(ratings.parts)
    drawn = np.random.default_rng(SEED).multinomial(parts, np.full(parts, 1 / parts), REPLICATES)
    sums = np.tensordot(drawn.astype(np.float64), ratings.parts, axes=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(alpha(sums, ratings.values, scale), (tail, 1 - tail))
    return float(low), float(high)


def _placed(names: Iterable[Any]) -> dict[Any, int]:
    return {name: number for number, name in enumerate(sorted(set(names)))}


def _distances(given: Matrix, values: tuple[Any, ...], scale: Scale) -> Matrix:
    """The squared distance of any two values; of ordered ones, by how many ratings lie between."""
    if scale == "nominal":
        return 1 - np.eye(len(values))
    between = given.cumsum(axis=-1) - given / 2
    at = np.asarray(values, np.float64) if scale == "interval" else between
    apart: Matrix = (at[..., :, None] - at[..., None, :]) ** 2
    return apart
