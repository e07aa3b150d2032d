"""dwell: how long somebody stayed with what was shown."""

from __future__ import annotations

import math

from processor.feedback.signals.base import Said, Signal
from processor.terms import Terms, Value

MS_PER_SECOND = 1000.0


def value(on: Terms[Value]) -> Value:
    """The time in seconds."""
    return on.over(on.number("dwell_ms"), on.literal(MS_PER_SECOND))


ENTRY = Signal("dwell", "ENGAGEMENT", "number", (Said(value),), bounds=(0.0, math.inf))
