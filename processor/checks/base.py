"""What the rules of all event types share; a rule is a function of columns, run on the JVM alone.

Rules hold functions and no columns: a column needs a running Spark, and importing must not.
NaN is larger than any number to Spark, so every range is written as "not within".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F

UNKNOWN = "UNKNOWN"
MAX_CLOCK_SKEW_US = 86_400 * 1_000_000  # microseconds an event may be ahead of its record: 1 day
EARLIEST_EVENT_US = 946_684_800 * 1_000_000  # 2000-01-01T00:00:00Z: nothing was served before
STAMP = "stamp"  # what a rule's detail calls the record's timestamp

Predicate = Callable[[Column, Column], Column]


@dataclass(frozen=True)
class Rule:
    """One way in which an event is wrong.

    `code` never changes. `detail` says what is wrong, with `{field}` where the value of a field
    of the event stands, and `{stamp}` for the record's timestamp. `broken` takes the event and
    the record's timestamp; null says that the rule is kept.
    """

    code: str
    detail: str
    broken: Predicate


@dataclass(frozen=True)
class EventChecks:
    """The rules of one event type, besides those of `HEADER`; `name` is the contract's."""

    name: str
    rules: tuple[Rule, ...]


def blank(value: Column) -> Column:
    """Whether a text is absent or empty; never null."""
    return F.coalesce(value, F.lit("")) == ""


def absent(value: Column, when: Column) -> Column:
    """Whether a value is null although `when` needs it."""
    return when & value.isNull()


def outside(value: Column, low: Column | float, high: Column | float) -> Column:
    """Whether a number is not within `[low, high]`, as NaN never is."""
    return ~value.between(low, high)


def repeated(values: Column) -> Column:
    """Whether an array holds a value twice."""
    return F.size(F.array_distinct(values)) < F.size(values)


def values_said(event: Column) -> Column:
    """How many of the three columns of a value are filled."""
    columns = (event["value_num"], event["value_bool"], event["value_str"])
    said = [column.isNotNull().cast("int") for column in columns]
    return said[0] + said[1] + said[2]


def empty(field: str) -> Rule:
    """A text that every event of the type must have."""
    return Rule(f"empty_{field}", f"{field} is empty", lambda event, _: blank(event[field]))


def unknown(field: str) -> Rule:
    """A choice that must be made; UNKNOWN is also what a newer producer's symbol is read as."""
    code, detail = f"unknown_{field}", f"{field} is {UNKNOWN}"
    return Rule(code, detail, lambda event, _: event[field] == UNKNOWN)


def probability(field: str) -> Rule:
    """A probability that something was done which was done, so it cannot be 0."""
    code, detail = f"{field}_range", f"{field} {{{field}}} is outside (0, 1]"
    return Rule(code, detail, lambda event, _: ~((event[field] > 0) & (event[field] <= 1)))


def share(field: str) -> Rule:
    """A share of a whole, both ends allowed."""
    code, detail = f"{field}_range", f"{field} {{{field}}} is outside [0, 1]"
    return Rule(code, detail, lambda event, _: outside(event[field], 0, 1))


def negative(field: str) -> Rule:
    """A count or a length that is below zero."""
    code, detail = f"negative_{field}", f"{field} {{{field}}} is below 0"
    return Rule(code, detail, lambda event, _: event[field] < 0)


def before(code: str, later: str, earlier: str) -> Rule:
    """Two times in the wrong order; the same instant is no defect."""
    detail = f"{later} {{{later}}} is before {earlier} {{{earlier}}}"
    return Rule(code, detail, lambda event, _: event[later] < event[earlier])


def _ahead(event: Column, stamp: Column) -> Column:
    # A stamp so large that the sum overflows has nothing a day after it: null, so not broken.
    latest = F.try_add(F.unix_micros(stamp), F.lit(MAX_CLOCK_SKEW_US))
    return F.unix_micros(event["event_time"]) > latest


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
        lambda event, _: F.unix_micros(event["event_time"]) < EARLIEST_EVENT_US,
    ),
)
"""The rules of every event, whatever its type."""

REVISION = (
    unknown("op"),
    Rule(
        "missing_supersedes",
        "{op} does not say which event it supersedes",
        lambda event, _: event["op"].isin("UPDATE", "RETRACT") & blank(event["supersedes"]),
    ),
    Rule(
        "supersedes_itself",
        "event {event_id} supersedes itself",
        lambda event, _: event["supersedes"] == event["event_id"],
    ),
)
"""The rules of events that can revise an earlier one."""


def stands(event: Column) -> Column:
    """Whether an event says something, rather than taking back what another said."""
    return event["op"] != "RETRACT"
