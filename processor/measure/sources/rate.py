"""rate: it gives more answers in a minute than a person can, minute after minute."""

from __future__ import annotations

from processor.loops import SourcesConfig
from processor.measure.sources.base import SourceTest, Tally, too_often


def log_e(tally: Tally, told: SourcesConfig) -> float:
    """Of the minutes in which it answered at all."""
    return too_often(tally.crowded, tally.minutes, told.slips)


ENTRY = SourceTest("rate", log_e)
