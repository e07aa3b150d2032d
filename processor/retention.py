"""Retention: how long Kafka still keeps what no batch has read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from processor.batches import Partition

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class TopicSettings:
    """What a topic's configuration says of its records' times and of when they are deleted.

    `retention_ms` is None where time deletes nothing; `by_size`: size does, which nothing
    foretells. `by_arrival`: timestamps are the broker's, and so in the order of offsets.
    """

    by_arrival: bool
    retention_ms: int | None
    by_size: bool


@dataclass(frozen=True)
class Remaining:
    """Of one topic: what it deletes first of what is unread, and in how many hours.

    `hours_left` is None where nothing is unread, or time deletes nothing; not more than 0 where it
    may happen at any moment.
    """

    topic: str
    partition: int | None
    oldest_unread: datetime | None
    hours_left: float | None
    by_size: bool


def remaining(
    settings: Mapping[str, TopicSettings], oldest: Mapping[Partition, datetime], now: datetime
) -> tuple[Remaining, ...]:
    """How long each topic keeps what is unread; `oldest` is the time of its first record."""
    return tuple(_remaining(topic, settings[topic], oldest, now) for topic in sorted(settings))


def _remaining(
    topic: str, told: TopicSettings, oldest: Mapping[Partition, datetime], now: datetime
) -> Remaining:
    mine = [(stamp, p.partition) for p, stamp in oldest.items() if p.topic == topic]
    if not mine:
        return Remaining(topic, None, None, None, told.by_size)
    stamp, partition = min(mine)
    hours = None if told.retention_ms is None else _hours(stamp, told.retention_ms, now)
    return Remaining(topic, partition, stamp, hours, told.by_size)


def _hours(stamp: datetime, retention_ms: int, now: datetime) -> float:
    """In floating point: the longest retention there is has no place in a `timedelta`."""
    return (stamp - now) / HOUR + retention_ms / 1000 / HOUR.total_seconds()


def warnings(found: Iterable[Remaining], interval: timedelta | None) -> list[str]:
    """A sentence for each topic that may lose records before the next batch but one.

    `interval` is from one batch to the next; without, only what may happen at once is said.
    """
    limit = (interval or timedelta(0)) / HOUR
    return [
        f"{each.topic}/{each.partition}: the oldest unread record, of"
        f" {_utc(each.oldest_unread)}, {_when(each.hours_left)}"
        for each in found
        if each.hours_left is not None and (each.hours_left < limit or each.hours_left <= 0)
    ]


def _when(hours: float) -> str:
    if hours <= 0:
        return "may be deleted at any moment: run now, or raise retention.ms"
    return f"is deleted in {hours:.1f} hours, before a run may come: run now, or raise retention.ms"


def _utc(stamp: datetime | None) -> str:
    return f"{stamp.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if stamp else "unknown time"
