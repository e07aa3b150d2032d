"""thumbs: up or down."""

from __future__ import annotations

from processor.feedback.signals.base import Said, Signal
from processor.terms import Terms, Value


def value(on: Terms[Value]) -> Value:
    """`true` for up, `false` for down."""
    return on.text(on.field("value_bool"))


ENTRY = Signal("thumbs", "THUMBS", "label", (Said(value),))
