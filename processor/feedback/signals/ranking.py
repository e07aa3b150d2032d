"""ranking: several outputs put in order, the best first."""

from __future__ import annotations

from processor.feedback.signals.base import Said, Signal
from processor.terms import Terms, Value


def value(on: Terms[Value]) -> Value:
    """The id that was put first; the whole order stays with the event."""
    return on.head("ranking")


ENTRY = Signal("ranking", "RANKING", "text", (Said(value),))
