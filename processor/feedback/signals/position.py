"""position: how far down the list that was used stood."""

from __future__ import annotations

from processor.feedback.signals.base import Said, Signal
from processor.terms import Terms, Value


def value(on: Terms[Value]) -> Value:
    """The reciprocal rank: 1 for the first place, which is 0, and 1/2 for the next.

    Source: E. M. Voorhees, The TREC-8 question answering track report (1999).
    """
    rank = on.minus(on.number("position"), on.literal(-1.0))
    return on.over(on.literal(1.0), rank)


ENTRY = Signal("position", "ENGAGEMENT", "number", (Said(value),), bounds=(0.0, 1.0))
