"""agreement: it agrees with the majority of the others less than they do with each other.

If a source is honest, its answer might have been any of those that were given to the same
question: among those who answered, it is drawn. So its expected match with the majority of the
others is the mean match of all who answered, whatever the question, its ties among them. `mu` is
that mean less the tolerance, and a bet of a share s that pays where the match m falls short of it,

    1 + s (mu - m) / (1 - mu),

is on average no more than 1. `processor.measure.tallies` makes these bets, one for each answer.
"""

from __future__ import annotations

from processor.loops import SourcesConfig
from processor.measure.sources.base import NANO, SourceTest, Tally, log_mean


def log_e(tally: Tally, told: SourcesConfig) -> float:  # noqa: ARG001  # the tolerance is in the bets
    """The mean of all stakes."""
    return log_mean([each / NANO for each in tally.bets])


ENTRY = SourceTest("agreement", log_e)
