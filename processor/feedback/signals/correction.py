"""correction: what the model should have said instead."""

from __future__ import annotations

from processor.feedback.signals.base import Said, Signal, spoken
from processor.terms import Terms, Value


def value(on: Terms[Value]) -> Value:
    """The corrected value; a corrected content where there is none."""
    return on.first(spoken(on), on.field("content_json"))


ENTRY = Signal("correction", "CORRECTION", "label", (Said(value),))
