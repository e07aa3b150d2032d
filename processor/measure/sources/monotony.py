"""monotony: it always says the same, where others do not.

An honest source's answer is drawn among those given to the same question, so it is of another mind
with the share that the other values have there; or more rarely, by the `tolerance`. The probability
that all its answers are the same is a product of such shares. Which value to bet on is what its
first answer says, so that one is no evidence: it is taken to be the one that would be the most.
"""

from __future__ import annotations

from math import inf

from processor.loops import SourcesConfig
from processor.measure.sources.base import NANO, SourceTest, Tally


def log_e(tally: Tally, told: SourcesConfig) -> float:  # noqa: ARG001  # the tolerance is in the counts
    """All or nothing: one other answer loses the bet for good."""
    if not tally.compared:
        return 0.0
    return -inf if tally.only is None else (tally.sameness - tally.most) / NANO


ENTRY = SourceTest("monotony", log_e)
