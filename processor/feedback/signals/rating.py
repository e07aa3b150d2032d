"""rating: a number on a scale."""

from __future__ import annotations

from processor.feedback.signals.base import Said, Signal
from processor.terms import Formula, Terms, Value


def value(on: Terms[Value]) -> Value:
    """Where on its own scale the rating is: 0 at `scale_min`, 1 at `scale_max`.

    Ratings of different scales mean the same thereby. Without both ends it says nothing.
    """
    return _place(on, on.number("scale_min"), on.number("scale_max"))


def on_scale(low: float, high: float) -> Formula:
    """Where a rating is on the scale of its loop, if it names neither end of one of its own.

    Off that scale it says nothing. One that is off its own has not passed the checks.
    """

    def value_on_either(on: Terms[Value]) -> Value:
        ends = on.literal(low), on.literal(high)
        own = on.some(*(on.given(on.field(name)) for name in ("scale_min", "scale_max")))
        within = on.within(on.number("value_num"), *ends)
        return on.choose(own, value(on), on.choose(within, _place(on, *ends)))

    return value_on_either


def _place(on: Terms[Value], low: Value, high: Value) -> Value:
    return on.over(on.minus(on.number("value_num"), low), on.minus(high, low))


ENTRY = Signal(
    *("rating", "RATING", "number", (Said(value),)),
    ordered=True,
    on_scale=on_scale,
    bounds=(0.0, 1.0),
)
