"""Profiles: how often each value or bin of a feature occurs, so that nothing is read twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, nextafter

import numpy as np
import numpy.typing as npt

CATEGORICAL = "categorical"
NUMERIC = "numeric"
BINS = 20  # bins of a numeric feature at most; each holds about a twentieth of the reference

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Profile:
    """Counts of one feature: `n` rows are those counted and the `missing` ones.

    The bin of a categorical value is the value; of a numeric one, in decimal digits, the number
    of `edges` that are no larger than it. Bins that hold nothing are left out.
    """

    feature: str
    kind: str
    counts: Mapping[str, int]
    missing: int
    n: int
    edges: tuple[float, ...] = ()

    @property
    def present(self) -> int:
        """Rows that have a value."""
        return sum(self.counts.values())


def edges_of(values: Floats) -> tuple[float, ...]:
    """Rising inner edges that part `values` into at most `BINS` bins of like weight; NaN ignored.

    An edge is a value that occurs, the lowest of its bin. One that fills a whole bin gets a bin
    for itself alone, so that a feature that was always 0 is seen to leave it in either direction.
    """
    present = values[~np.isnan(values)]
    if not present.size:
        return ()
    inner = np.arange(1, BINS) / BINS
    cuts = np.quantile(present, inner, method="inverted_cdf")
    edges, repeats = np.unique(cuts, return_counts=True)
    just_above = {nextafter(edge, inf) for edge in edges[repeats > 1].tolist()}
    return tuple(sorted(just_above.union(edges.tolist())))


def profile_of(name: str, values: Floats | Sequence[str | None]) -> Profile:
    """The profile of a column: an array is numeric, with NaN missing; else text, with None missing.

    A numeric column is cut by its own edges.
    """
    if isinstance(values, np.ndarray):
        return _numeric(name, values)
    found = Counter(value for value in values if value is not None)
    return Profile(name, CATEGORICAL, dict(found), len(values) - found.total(), len(values))


def _numeric(name: str, values: Floats) -> Profile:
    edges = edges_of(values)
    present = values[~np.isnan(values)]
    bins = np.searchsorted(np.asarray(edges), present, side="right")
    counts = {str(place): int(n) for place, n in enumerate(np.bincount(bins)) if n}
    return Profile(name, NUMERIC, counts, values.size - present.size, values.size, edges)
