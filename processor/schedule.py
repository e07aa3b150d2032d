"""The schedule: at which moments batches end. Pure; no clock is read here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

from processor.config import ScheduleConfig, Weekday
from processor.errors import ConfigError

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WEEKDAYS = get_args(Weekday)
INTERVALS = {"hour": HOUR, "day": DAY, "week": 7 * DAY}
"""From one boundary to the next, where no clock is changed."""


def boundaries(schedule: ScheduleConfig, after: datetime, upto: datetime) -> list[datetime]:
    """The schedule's boundaries in `(after, upto]`, in order, in UTC.

    Hours are UTC's. A day begins at its midnight in the zone, and is 23 or 25 hours long where
    clocks are changed; a midnight that they skip is the moment at which they do, and of one that
    comes twice it is the first.
    """
    found = _hours(after, upto) if schedule.every == "hour" else _midnights(schedule, after, upto)
    return sorted({each for each in found if after < each <= upto})


def last_boundary(schedule: ScheduleConfig, upto: datetime) -> datetime:
    """The newest boundary that is not after `upto`."""
    return boundaries(schedule, upto - 2 * INTERVALS[schedule.every], upto)[-1]


def due(
    schedule: ScheduleConfig, last: datetime | None, upto: datetime, since: datetime | None = None
) -> list[datetime]:
    """The boundaries that no batch has ended at yet; `last` is where the last batch did.

    Before the first batch only the newest boundary is due, or each one after `since`.
    """
    after = last or since
    return [last_boundary(schedule, upto)] if after is None else boundaries(schedule, after, upto)


def moment(text: str, zone: str, now: datetime) -> datetime:
    """A moment from ISO 8601, in UTC; without an offset it is a local time of `zone`.

    Raises:
        ConfigError: it is no time, it is after `now`, or a clock change makes it doubtful.
    """
    try:
        told = datetime.fromisoformat(text)
        found = told.astimezone(UTC) if told.tzinfo else _local(told, zone)
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"{text!r} is no time", remedy="write 2024-05-31T00:00Z") from error
    if found > now:
        raise ConfigError(
            f"{text} is after now, {now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            remedy="what is not over cannot be cut: give a moment that has passed",
        )
    return found


def _local(told: datetime, zone: str) -> datetime:
    here = told.replace(tzinfo=ZoneInfo(zone))
    if here.utcoffset() != here.replace(fold=1).utcoffset():
        raise ConfigError(
            f"{told.isoformat()} is there twice or not at all in {zone}: clocks change then",
            remedy="write it with its offset from UTC, such as +02:00",
        )
    return here.astimezone(UTC)


def _hours(after: datetime, upto: datetime) -> Iterator[datetime]:
    each = after.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    while each <= upto:
        yield each
        each += HOUR


def _midnights(schedule: ScheduleConfig, after: datetime, upto: datetime) -> Iterator[datetime]:
    zone = ZoneInfo(schedule.zone)
    day, end = _day(after, zone), _day(upto, zone) + DAY
    while day <= end:
        if schedule.every == "day" or WEEKDAYS[day.weekday()] == schedule.weekday:
            yield datetime.combine(day, time(), zone).astimezone(UTC)
        day += DAY


def _day(moment_: datetime, zone: ZoneInfo) -> date:
    return moment_.astimezone(zone).date()
