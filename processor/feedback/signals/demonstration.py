"""demonstration: how it is done well, whatever the model said."""

from __future__ import annotations

from processor.feedback.signals.base import Said, Signal
from processor.terms import Terms, Value


def value(on: Terms[Value]) -> Value:
    """The content; a text where there is none."""
    return on.first(on.field("content_json"), on.field("value_str"))


ENTRY = Signal("demonstration", "DEMONSTRATION", "text", (Said(value),))
