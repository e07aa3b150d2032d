"""What a drift test is, and the counts that all of them start from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from processor.measure.profile import NUMERIC, Profile

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DriftScore:
    """How far two profiles are apart; `p` is None where a test has none.

    `effect` does not grow with the number of rows: 0 when the shares agree.
    """

    statistic: float
    p: float | None
    effect: float


@dataclass(frozen=True)
class DriftTest:
    """A way to hold one profile against another.

    `score(before, now)` depends on nothing but the two counts of each bin. Its effect never
    falls below 0, and a larger one is more drift. `min_effect` is the smallest that matters;
    None says that the score has no verdict of its own. `symmetric`: both orders score the same.
    """

    name: str
    kinds: frozenset[str]
    score: Callable[[Profile, Profile], DriftScore]
    min_effect: float | None = None
    symmetric: bool = True


def aligned(before: Profile, now: Profile) -> tuple[Counts, Counts]:
    """The counts of both, bin by bin, in the bins' own order; missing rows do not count.

    A bin that is empty on both sides is no bin: whether it was written down says nothing.

    Raises:
        ValueError: the bins of one do not mean what those of the other do, or one holds no value.
    """
    if (before.kind, before.edges) != (now.kind, now.edges):
        raise ValueError(f"{before.feature} and {now.feature} are not binned alike")
    if not before.present or not now.present:
        raise ValueError(f"{now.feature}: no values")
    names = {name for each in (before, now) for name, n in each.counts.items() if n}
    # Numeric bins are numbers: as text, "10" comes before "9".
    bins = sorted(names, key=int) if before.kind == NUMERIC else sorted(names)
    rows = [[profile.counts.get(name, 0) for name in bins] for profile in (before, now)]
    first, second = np.asarray(rows, dtype=np.int64)
    return first, second
