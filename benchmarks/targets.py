"""What is aimed at, in one place, and whether it was reached."""

from __future__ import annotations

from dataclasses import dataclass

SNAPSHOT_TO_NAIVE = 1.5  # rows a second, to those of the usual way
TOGETHER_TO_NAIVE = 1.0  # snapshot and validate, to the usual way
SKEWED_TO_EVEN = 1.2  # time with 90 % in one partition, to that of an even topic
LARGE_TO_SMALL = 5.5  # time of five times the events
LARGE_PEAK_GIB = 4.0  # of the JVM's memory, with the large topic
LARGE_PEAK_TO_SMALL = 1.1  # the same, to that with the small topic
FILE_SHARE = 0.9  # of the bytes, in files of the sizes below
FILE_MIB = (64, 512)
EMPTY_RUN_SECONDS = 2.0  # a run with nothing new
POISON_TO_CLEAN = 1.1  # time with 1 % of the records damaged, to that of a clean topic
LAST_TO_TENTH = 1.3  # time of the last daily batch, to that of the first whose window is full
LEDGER_TO_NAIVE = 1.3  # rows a second, to those of the same join written naively
LEDGER_PEAK_GIB = 6.0  # of the JVM's memory, with everything in one batch
HOT_TO_EVEN = 1.5  # time with half of all inferences in one session or of one model


@dataclass(frozen=True)
class Judged:
    """A target beside what was measured; None where it was not."""

    what: str
    limit: float
    measured: float | None
    at_least: bool = False

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached."""
        if self.measured is None:
            return None
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    @property
    def bound(self) -> str:
        """The target, in words."""
        return f"at {'least' if self.at_least else 'most'} {self.limit:g}"


def share_in_bounds(sizes: list[int]) -> float:
    """Which share of the bytes is in files of the sizes aimed at."""
    low, high = (mib << 20 for mib in FILE_MIB)
    return sum(size for size in sizes if low <= size <= high) / max(sum(sizes), 1)
