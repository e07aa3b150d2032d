"""rating: a number on a scale."""

from __future__ import annotations

from processor.feedback.signals.base import Said, Signal
from processor.terms import Terms, Value


def value(on: Terms[Value]) -> Value:
    """Where on its own scale the rating is: 0 at `scale_min`, 1 at `scale_max`.

    Ratings of different scales mean the same thereby. Without both ends it says nothing.
    """
    low = on.number("scale_min")
    return on.over(on.minus(on.number("value_num"), low), on.minus(on.number("scale_max"), low))


ENTRY = Signal("rating", "RATING", "number", (Said(value),), ordered=True)
