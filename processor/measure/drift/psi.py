"""psi: the population stability index, a score without a test."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processor.measure.drift.base import Counts, DriftScore, DriftTest, aligned
from processor.measure.profile import CATEGORICAL, NUMERIC, Profile

ZERO_BIN_SHARE = 1e-4  # share that an empty bin is taken to hold; changing it changes every score


def score(before: Profile, now: Profile) -> DriftScore:
    """The index: 0 when shares agree, and the same in both directions.

    Shares below `ZERO_BIN_SHARE` are raised to it before all are made to sum to 1 again. It
    has no p: its noise grows with the number of bins and falls with the number of rows, so the
    usual limits (0.1, 0.25) mean little alone.

    Source: N. Siddiqi, Credit Risk Scorecards (2006), p. 136; the sum of both directions of the
    divergence of S. Kullback, R. A. Leibler, Ann. Math. Stat. 22 (1951) 79.
    """
    p, q = (_shares(counts) for counts in aligned(before, now))
    index = float(((q - p) * np.log(q / p)).sum())
    return DriftScore(index, None, index)


def _shares(counts: Counts) -> npt.NDArray[np.float64]:
    raised = np.maximum(counts / counts.sum(), ZERO_BIN_SHARE)
    shares: npt.NDArray[np.float64] = raised / raised.sum()
    return shares


ENTRY = DriftTest("psi", frozenset({NUMERIC, CATEGORICAL}), score)
