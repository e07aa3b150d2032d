"""Measurements collected over all turns, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from benchmarks import poison, targets
from benchmarks.spread import Spread, Turn, peak_gib
from benchmarks.targets import Judged


@dataclass
class Case:
    """One way over one topic: a line of the table, with all its turns."""

    name: str
    way: str
    topic: str
    events: int
    turns: list[Turn] = field(default_factory=list)

    def spread(self, of: Callable[[Turn], float]) -> Spread:
        """Of one number of each turn."""
        return Spread.of(of(turn) for turn in self.turns)

    def seconds(self, step: str) -> Spread:
        """Wall time of a step."""
        return self.spread(lambda turn: turn["steps"][step]["seconds"])

    def cpu(self, step: str) -> Spread:
        """CPU time of a step in seconds, the JVM's in it."""
        return self.spread(lambda turn: turn["steps"][step]["cpu"])

    def peak_gib(self) -> float | None:
        """The most memory that the JVM of any turn had."""
        return peak_gib(self.turns)


@dataclass(frozen=True)
class Fixed:
    """Seconds that a run costs beyond its data.

    `rest` is what of the small run is in no stage: starting Python, the plan, ending.
    `nothing_new` finds no batch to take; `nothing_came` takes an empty one, up to a moment.
    """

    session: Spread
    session_without_archive: Spread
    small_run: Spread
    small_run_without_archive: Spread
    stages: dict[str, float]
    rest: Spread
    nothing_new: Spread
    nothing_came: Spread

    @classmethod
    def told(cls, kept: Mapping[str, Any]) -> Self:
        """As `asdict` gave it."""
        spreads = {name: Spread(**each) for name, each in kept.items() if name != "stages"}
        return cls(stages=kept["stages"], **spreads)


@dataclass(frozen=True)
class Results:
    """Everything that one run of the benchmarks has measured."""

    naive: Case
    even: Case
    skewed: Case
    large: Case
    fixed: Fixed
    clean: poison.Result
    poisoned: poison.Result

    @classmethod
    def told(cls, kept: Mapping[str, Any]) -> Self:
        """As `asdict` gave it."""
        return cls(
            naive=Case(**kept["naive"]),
            even=Case(**kept["even"]),
            skewed=Case(**kept["skewed"]),
            large=Case(**kept["large"]),
            fixed=Fixed.told(kept["fixed"]),
            clean=poison.Result(**kept["clean"]),
            poisoned=poison.Result(**kept["poisoned"]),
        )

    @property
    def cases(self) -> tuple[Case, ...]:
        """Every line of the table."""
        return (self.naive, self.even, self.skewed, self.large)

    def judged(self) -> list[Judged]:
        """Every target beside what was measured."""
        usual = self.naive.seconds("together").median
        together = self.even.seconds("together").median
        peak, small_peak = self.large.peak_gib(), self.even.peak_gib()
        return [
            Judged(
                "snapshot, rows a second to the usual way's",
                targets.SNAPSHOT_TO_NAIVE,
                usual / self.even.seconds("snapshot").median,
                at_least=True,
            ),
            Judged(
                "snapshot and validate, rows a second to the usual way's",
                targets.TOGETHER_TO_NAIVE,
                usual / together,
                at_least=True,
            ),
            Judged(
                "time with 90 % in one partition, to that of even partitions",
                targets.SKEWED_TO_EVEN,
                self.skewed.seconds("together").median / together,
            ),
            Judged(
                "time of five times the events, to that of once",
                targets.LARGE_TO_SMALL,
                self.large.seconds("together").median / together,
            ),
            Judged(
                "peak memory of the JVM with the large topic, GiB", targets.LARGE_PEAK_GIB, peak
            ),
            Judged(
                "peak memory with the large topic, to that with the small one",
                targets.LARGE_PEAK_TO_SMALL,
                peak / small_peak if peak and small_peak else None,
            ),
            *self._files(),
            Judged(
                "time with 1 % of the records damaged, to that of none",
                targets.POISON_TO_CLEAN,
                self.clean.rate / self.poisoned.rate,
            ),
            Judged(
                "a run with nothing new, seconds",
                targets.EMPTY_RUN_SECONDS,
                self.fixed.nothing_new.median,
            ),
            Judged(
                "an empty batch, seconds",
                targets.EMPTY_RUN_SECONDS,
                self.fixed.nothing_came.median,
            ),
        ]

    def _files(self) -> Iterable[Judged]:
        low, high = targets.FILE_MIB
        for table, sizes in self.large.turns[-1]["files"].items():
            share = targets.share_in_bounds(sizes)
            what = f"share of the bytes of `{table}` in files of {low} to {high} MiB, large topic"
            yield Judged(what, targets.FILE_SHARE, share, at_least=True)
