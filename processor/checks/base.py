"""What the rules of all event types share; a rule is one formula, read of one event and of many.

Rules hold functions and no columns: a column needs a running Spark, and importing must not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from processor.terms import Terms, Value

UNKNOWN = "UNKNOWN"
MAX_CLOCK_SKEW_US = 86_400 * 1_000_000  # microseconds an event may be ahead of its record: 1 day
EARLIEST_EVENT_US = 946_684_800 * 1_000_000  # 2000-01-01T00:00:00Z: nothing was served before
STAMP = "stamp"  # what rules call the record's timestamp: a field beside those of the event
DETAIL_LIMIT = 500  # characters: a detail names a value, it does not carry it
VALUES = ("value_num", "value_bool", "value_str")
"""Where an event says its value, if it says one."""


class Broken(Protocol):
    """Whether an event breaks a rule; missing says that the rule is kept."""

    def __call__(self, on: Terms[Value], /) -> Value:
        """What it comes to."""
        ...


@dataclass(frozen=True)
class Rule:
    """One way in which an event is wrong.

    `code` never changes. `detail` says what is wrong, with `{field}` where the value of a field
    of the event stands, and `{stamp}` for the record's timestamp.
    """

    code: str
    detail: str
    broken: Broken


@dataclass(frozen=True)
class EventChecks:
    """The rules of one event type, besides those of `HEADER`; `name` is the contract's."""

    name: str
    rules: tuple[Rule, ...]


def blank(on: Terms[Value], field: str) -> Value:
    """Whether a text is absent or empty; never missing."""
    nothing = on.literal("")
    return on.equal(on.first(on.field(field), nothing), nothing)


def absent(on: Terms[Value], field: str) -> Value:
    """Whether a field has no value; never missing."""
    return on.no(on.given(on.field(field)))


def says(on: Terms[Value], field: str, *symbols: str) -> Value:
    """Whether a field is one of these."""
    return on.among(on.field(field), symbols)


def below(on: Terms[Value], value: Value, bound: Value) -> Value:
    """Whether a number or a time that is not NaN is less than another."""
    return on.no(on.at_least(value, bound))


def outside(on: Terms[Value], value: Value, low: float, high: float) -> Value:
    """Whether a number is not within `[low, high]`, as NaN never is."""
    return on.no(on.within(value, on.literal(low), on.literal(high)))


def one_value(on: Terms[Value]) -> Value:
    """Whether exactly one of `VALUES` is filled."""
    return on.some(
        *(
            on.every(on.given(on.field(name)), *(absent(on, n) for n in VALUES if n != name))
            for name in VALUES
        )
    )


def empty(field: str) -> Rule:
    """A text that every event of the type must have."""
    return Rule(f"empty_{field}", f"{field} is empty", lambda on: blank(on, field))


def unknown(field: str) -> Rule:
    """A choice that must be made; UNKNOWN is also what a newer producer's symbol is read as."""
    code, detail = f"unknown_{field}", f"{field} is {UNKNOWN}"
    return Rule(code, detail, lambda on: says(on, field, UNKNOWN))


def probability(field: str) -> Rule:
    """A probability that something was done which was done, so it cannot be 0."""

    def broken(on: Terms[Value]) -> Value:
        value = on.field(field)
        return on.some(outside(on, value, 0.0, 1.0), on.equal(value, on.literal(0.0)))

    return Rule(f"{field}_range", f"{field} {{{field}}} is outside (0, 1]", broken)


def share(field: str) -> Rule:
    """A share of a whole, both ends allowed."""
    code, detail = f"{field}_range", f"{field} {{{field}}} is outside [0, 1]"
    return Rule(code, detail, lambda on: outside(on, on.field(field), 0.0, 1.0))


def negative(field: str) -> Rule:
    """A count or a length, which has no NaN, that is below zero."""
    code, detail = f"negative_{field}", f"{field} {{{field}}} is below 0"
    return Rule(code, detail, lambda on: below(on, on.field(field), on.literal(0)))


def not_finite(field: str) -> Rule:
    """A number that is NaN or infinite, and so says nothing."""
    code, detail = f"{field}_not_finite", f"{field} is {{{field}}}"
    return Rule(code, detail, lambda on: on.no(on.finite(on.field(field))))


def before(code: str, later: str, earlier: str) -> Rule:
    """Two times in the wrong order; the same instant is no defect."""
    detail = f"{later} {{{later}}} is before {earlier} {{{earlier}}}"
    return Rule(code, detail, lambda on: below(on, on.field(later), on.field(earlier)))


def _ahead(on: Terms[Value]) -> Value:
    lead = on.minus(on.micros("event_time"), on.micros(STAMP))
    return below(on, on.literal(float(MAX_CLOCK_SKEW_US)), lead)


HEADER = (
    empty("event_id"),
    empty("source"),
    Rule(
        "clock_skew",
        "event_time {event_time} is more than a day after the record's timestamp {stamp}",
        _ahead,
    ),
    Rule(
        "implausible_time",
        "event_time {event_time} is before 2000-01-01",
        lambda on: below(on, on.micros("event_time"), on.literal(float(EARLIEST_EVENT_US))),
    ),
)
"""The rules of every event, whatever its type."""

REVISION = (
    unknown("op"),
    Rule(
        "missing_supersedes",
        "{op} does not say which event it supersedes",
        lambda on: on.every(says(on, "op", "UPDATE", "RETRACT"), blank(on, "supersedes")),
    ),
    Rule(
        "supersedes_itself",
        "event {event_id} supersedes itself",
        lambda on: on.equal(on.field("supersedes"), on.field("event_id")),
    ),
)
"""The rules of events that can revise an earlier one."""


def stands(on: Terms[Value]) -> Value:
    """Whether an event says something, rather than taking back what another said."""
    return on.no(says(on, "op", "RETRACT"))
