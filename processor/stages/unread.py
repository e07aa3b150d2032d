"""What no batch has landed yet, and how long Kafka keeps it; asked of the broker, without a JVM."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from processor.batches import Bounds, Partition
from processor.config import Config
from processor.kafka.offsets import Broker
from processor.kafka.oldest import first_times
from processor.retention import Remaining, TopicSettings, remaining, warnings
from processor.schedule import INTERVALS
from processor.stages import snapshot
from processor.tables import BATCHES, LOG
from processor.warehouse import Warehouse


class Unread(NamedTuple):
    """How long each topic keeps what is unread, what to warn of, and the topics' settings."""

    topics: tuple[Remaining, ...]
    warnings: list[str]
    settings: Mapping[str, TopicSettings]


def unread(config: Config, warehouse: Warehouse) -> Unread:
    """What is unread on every input topic that exists.

    Raises:
        Unavailable: the broker does not answer in `kafka.timeout`.
    """
    broker = Broker(config.kafka)
    bounds = broker.bounds(config.topics.by_topic())
    settings = broker.settings({each.topic for each in bounds})
    oldest = first_times(config.kafka, _starts(bounds, _landed(warehouse)))
    found = remaining(settings, oldest, datetime.now(UTC))
    interval = INTERVALS[config.schedule.every] if config.schedule else None
    return Unread(found, warnings(found, interval), settings)


def _starts(
    bounds: Mapping[Partition, Bounds], landed: Mapping[tuple[str, int], int]
) -> dict[Partition, int]:
    """The first unread offset of each partition that has one."""
    starts = {
        p: max(now.log_start, landed.get((now.topic_id, p.partition), 0))
        for p, now in bounds.items()
    }
    return {p: start for p, start in starts.items() if start < bounds[p].high_watermark}


def _landed(warehouse: Warehouse) -> dict[tuple[str, int], int]:
    """Up to where the log holds each partition, by topic id and partition."""
    last = warehouse.committed(LOG, snapshot.STAGE.writer(LOG))
    columns = ["topic_id", "partition", "end_offset"]
    found: dict[tuple[str, int], int] = {}
    for row in warehouse.rows(BATCHES, as_of=last, columns=columns).to_pylist():
        key = (row["topic_id"], row["partition"])
        found[key] = max(row["end_offset"], found.get(key, 0))
    return found
