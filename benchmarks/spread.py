"""Numbers of several turns, and what all pages say of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

GIB = 1 << 30
Turn = dict[str, Any]
"""What one measurement said: start, steps with seconds and cpu, rows, files, peak_rss."""


@dataclass(frozen=True)
class Spread:
    """The median of some turns, the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Of values, one or more."""
        listed = list(values)
        return cls(statistics.median(listed), min(listed), max(listed))

    def __str__(self) -> str:
        if self.least == self.most:
            return f"{self.median:.1f}"
        return f"{self.median:.1f} ({self.least:.1f} to {self.most:.1f})"


def peak_gib(turns: Iterable[Turn]) -> float | None:
    """The most memory that the process of any turn had; None where it was not counted."""
    peaks = [turn["peak_rss"] for turn in turns if turn["peak_rss"]]
    return max(peaks) / GIB if peaks else None
