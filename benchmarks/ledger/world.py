"""Which typed events a measurement is made on: planted in a warehouse of their own, and kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = 29  # four weeks, and the day that is measured
DAY = timedelta(days=1)
WINDOW, GRACE, LATE = timedelta(days=7), timedelta(hours=6), timedelta(days=1)
PATIENT = timedelta(days=40)  # after the last response, everything has come and is closed
METRIC, MODEL = "bought", "bench"
SESSION = 10  # inferences of an ordinary one


@dataclass(frozen=True)
class World:
    """So many inferences, evenly over `days`, and what is said of them.

    With one batch everything lands in it; with one a day, each event lands in its own. Of an
    inference in five nothing is said, of one in five more than once; so there are as many answers
    as inferences. `sessions`: an answer is about a session, and there is one for each. `models`
    share the inferences. `hot`: half of all inferences are of one session, or of one model.
    """

    events: int
    batches: int = 1
    days: int = DAYS
    models: int = 1
    sessions: bool = False
    hot: bool = False
    hot_answers: int = 1

    @classmethod
    def told(cls, kept: Mapping[str, Any]) -> World:
        """As `vars` gave it."""
        return cls(**kept)

    @property
    def name(self) -> str:
        """What its folder is called."""
        kind = "sessions" if self.sessions else f"models{self.models}"
        hot = f"-hot{self.hot_answers}" if self.hot else ""
        return f"{kind}{hot}-{self.events}-in-{self.batches}"

    @property
    def apart(self) -> timedelta:
        """From one inference to the next."""
        return self.days * DAY / self.events

    def watermark(self, batch: int) -> datetime:
        """Up to when a batch has landed everything."""
        return START + (batch * DAY if self.batches > 1 else self.days * DAY + PATIENT)

    def before(self, batch: int) -> int:
        """How many inferences may have landed by the end of a batch, and not fewer."""
        return self.events * min(batch, self.days) // self.days if self.batches > 1 else self.events


def models(world: World) -> list[str]:
    """The models, the hot one first."""
    return [f"{MODEL}-{number}" for number in range(world.models)]
