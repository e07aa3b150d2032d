"""Measurements of the ledger and of datasets, collected over all turns, and what follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from benchmarks import targets
from benchmarks.spread import Spread, Turn, peak_gib
from benchmarks.targets import Judged

TENTH = "10"  # the batch from which on the window is full


@dataclass
class Case:
    """One way over one world: a line of the table, with all its turns."""

    name: str
    events: int
    turns: list[Turn] = field(default_factory=list)

    @property
    def seconds(self) -> Spread:
        """Wall time of all batches."""
        return Spread.of(self._sum(turn, "seconds") for turn in self.turns)

    @property
    def cpu(self) -> Spread:
        """CPU time in seconds, the JVM's in it."""
        return Spread.of(self._sum(turn, "cpu") for turn in self.turns)

    @property
    def peak(self) -> float | None:
        """The most memory in GiB that the JVM, or DuckDB's process, of any turn had."""
        return peak_gib(self.turns)

    @property
    def rows(self) -> int:
        """How many rows the dataset has."""
        return int(self.turns[-1]["rows"])

    @staticmethod
    def _sum(turn: Turn, what: str) -> float:
        return float(sum(step[what] for step in turn["steps"].values()))


@dataclass(frozen=True)
class Results:
    """Everything that one run has measured; `daily` is one turn of a batch a day."""

    daily: Case
    full: Case
    ours: Case
    usual: Case
    duckdb: Case
    sessions: Case
    hot_session: Case
    hot_session_again: Case
    models: Case
    hot_model: Case

    @classmethod
    def told(cls, kept: Mapping[str, Any]) -> Self:
        """As `asdict` gave it."""
        return cls(**{name: Case(**each) for name, each in kept.items()})

    @property
    def days(self) -> dict[str, float]:
        """Seconds of each daily batch, by number."""
        return {name: step["seconds"] for name, step in self.daily.turns[-1]["steps"].items()}

    def judged(self) -> list[Judged]:
        """Every target beside what was measured."""
        days, ours = self.days, self.ours.seconds.median
        last = list(days.values())[-1]
        return [
            Judged(
                "seconds of the last daily batch, to those of the tenth",
                targets.LAST_TO_TENTH,
                last / days[TENTH],
            ),
            Judged(
                "everything in one batch, rows a second to the usual way's",
                targets.LEDGER_TO_NAIVE,
                self.usual.seconds.median / ours,
                at_least=True,
            ),
            Judged(
                "peak memory with everything in one batch, GiB",
                targets.LEDGER_PEAK_GIB,
                self.ours.peak,
            ),
            Judged(
                "time with half of all inferences in one session, to that of even sessions",
                targets.HOT_TO_EVEN,
                self.hot_session.seconds.median / self.sessions.seconds.median,
            ),
            Judged(
                "time with half of all inferences of one model, to that of even models",
                targets.HOT_TO_EVEN,
                self.hot_model.seconds.median / self.models.seconds.median,
            ),
        ]
