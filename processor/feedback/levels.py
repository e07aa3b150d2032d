"""What an answer is about: one inference, or several that share its session or episode."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from processor.errors import ConfigError
from processor.plugins import nearest

MAX_REVISIONS = 32
"""An answer revised more often than this is divided as its 32nd revision before is."""


@dataclass(frozen=True)
class Level:
    """How an answer finds its inferences.

    Read are the events of `source` whose own level is one of `symbols`; empty: they have none.
    `event_key` of the event is `key` of the inference; None: the signal names the inference.
    `shared`: the answer is about all that it finds, and its credit is divided among them.
    Otherwise it is whole for each of them. `gap`: a session is what one subject was answered
    without a longer pause, and none has a name; None: what shares the key is one.
    """

    name: str
    source: str
    symbols: tuple[str, ...]
    event_key: str | None
    key: str
    shared: bool = False
    gap: timedelta | None = None

    @property
    def by_candidate(self) -> bool:
        """Whether an answer is about one candidate of its inference."""
        return "CANDIDATE" in self.symbols


_INFERENCE, _FEEDBACK, _TRUTH = "inference_id", "feedback", "ground_truth"
LEVELS = (
    Level("inference", _FEEDBACK, ("INFERENCE", "STEP"), None, _INFERENCE),
    Level("candidate", _FEEDBACK, ("CANDIDATE",), _INFERENCE, _INFERENCE),
    Level("session", _FEEDBACK, ("SESSION",), "session_id", "session_id", shared=True),
    Level("episode", _FEEDBACK, ("EPISODE",), "episode_id", "episode_id", shared=True),
    Level("inference", _TRUTH, (), None, _INFERENCE),
    Level("request", _TRUTH, (), "entity_key", "request_id"),
)


def level_of(name: str, source: str) -> Level:
    """The level of that name; raises ConfigError, with the nearest, if `source` has none."""
    found = {level.name: level for level in LEVELS if level.source == source}
    if name not in found:
        raise ConfigError(f"{source} has no level {name!r}", remedy=nearest(name, list(found)))
    return found[name]


def by_gap(level: Level, gap: timedelta) -> Level:
    """The level whose sessions are told by pauses, since inferences name none."""
    return replace(level, event_key="subject_key", key="subject_key", gap=gap)
