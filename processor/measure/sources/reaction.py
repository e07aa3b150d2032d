"""reaction: it reacts sooner than a person can, too often for slips of the clock."""

from __future__ import annotations

from processor.loops import SourcesConfig
from processor.measure.sources.base import SourceTest, Tally, too_often


def log_e(tally: Tally, told: SourcesConfig) -> float:
    """Of the answers that say how long they took."""
    return too_often(tally.fast, tally.timed, told.slips)


ENTRY = SourceTest("reaction", log_e)
