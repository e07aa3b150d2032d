"""agreement: it agrees with the majority of the others less than they do with each other.

If a source is honest, its answer might have been any of those that were given to the same
question: among those who answered, it is drawn. So its expected match with the majority of the
others is the mean match of all who answered, whatever the question, its ties among them; and it
dissents, 1 - match, with the mean dissent. Some honest sources are worse than others, so `q` is
the `tolerance` times that mean. A bet of a share s that pays where the dissent d is more,

    1 - s + s d / q,

is on average no more than 1. Where all agree, or q is 1 or more, there is nothing to bet on.
`processor.measure.tallies` makes these bets, one for each answer.
"""

from __future__ import annotations

from processor.loops import SourcesConfig
from processor.measure.sources.base import NANO, SourceTest, Tally, log_mean


def log_e(tally: Tally, told: SourcesConfig) -> float:  # noqa: ARG001  # the tolerance is in the bets
    """The mean of all stakes."""
    return log_mean([each / NANO for each in tally.bets])


ENTRY = SourceTest("agreement", log_e)
