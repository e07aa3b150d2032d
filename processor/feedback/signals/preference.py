"""preference: of two outputs, which is better; it says something of both."""

from __future__ import annotations

from processor.feedback.signals.base import Said, Signal
from processor.terms import Formula, Terms, Value

EVEN = 0.5  # what each side of a tie is worth, so that a pair is always worth 1, or nothing


def _outcome(on: Terms[Value], symbol: str) -> Value:
    return on.equal(on.field("preference.outcome"), on.literal(symbol))


def _worth(won: str, lost: str) -> Formula:
    def value(on: Terms[Value]) -> Value:
        beaten = on.choose(_outcome(on, lost), on.literal(0.0))
        bad = on.choose(_outcome(on, "BOTH_BAD"), on.literal(0.0))
        even = on.choose(_outcome(on, "TIE"), on.literal(EVEN))
        better = on.choose(_outcome(on, won), on.literal(1.0))
        return on.first(better, even, bad, beaten)

    return value


def _a(on: Terms[Value]) -> Value:
    """The inference of A, unless both are outputs of one: that has not won over itself."""
    a, b = (on.field(f"preference.{side}_inference_id") for side in "ab")
    return on.choose(on.equal(a, b), on.missing(), a)


def _b(on: Terms[Value]) -> Value:
    a, b = (on.field(f"preference.{side}_inference_id") for side in "ab")
    return on.choose(on.equal(a, b), on.missing(), b)


ENTRY = Signal(
    *("preference", "PREFERENCE", "number"),
    (Said(_worth("A", "B"), _a), Said(_worth("B", "A"), _b)),
    bounds=(0.0, 1.0),
)
