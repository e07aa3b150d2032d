"""ks: the Kolmogorov-Smirnov test on binned values."""

from __future__ import annotations

from math import sqrt

import numpy as np
import scipy

from processor.measure.drift.base import DriftScore, DriftTest, aligned
from processor.measure.profile import NUMERIC, Profile

MIN_EFFECT = 0.1
"""Share of all rows that went from one side of some edge to the other: a tenth of them.

Less is what weekdays, holidays and the next cohort do by themselves.
"""


def score(before: Profile, now: Profile) -> DriftScore:
    """The largest difference of the two shares below an edge, as statistic and as effect.

    Conservative twice: only the edges are looked at, so the difference is no larger than that of
    the values themselves; and p is the limit for many rows, an upper bound in practice for few.

    Source: N. Smirnov, Ann. Math. Stat. 19 (1948) 279, with n·m / (n + m) for the rows.
    """
    first, second = aligned(before, now)
    n, m = int(first.sum()), int(second.sum())
    distance = float(np.abs(np.cumsum(first) / n - np.cumsum(second) / m).max())
    return DriftScore(
        distance, float(scipy.special.kolmogorov(sqrt(n * m / (n + m)) * distance)), distance
    )


ENTRY = DriftTest("ks", frozenset({NUMERIC}), score, MIN_EFFECT)
