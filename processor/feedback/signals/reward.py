"""reward: a number that is to be made large."""

from __future__ import annotations

from processor.feedback.signals.base import Said, Signal
from processor.terms import Terms, Value


def value(on: Terms[Value]) -> Value:
    """The number as it was given."""
    return on.number("value_num")


ENTRY = Signal("reward", "REWARD", "number", (Said(value),))
