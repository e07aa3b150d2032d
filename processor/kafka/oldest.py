"""The times of records: of each partition the first at or after an offset, one fetch each."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, Message, TopicPartition

from processor.batches import Partition
from processor.config import KafkaConfig
from processor.errors import Unavailable
from processor.kafka.offsets import END_OF_PARTITION, TO_THE_END
from processor.kafka.security import native

ONE_RECORD = {**TO_THE_END, "queued.min.messages": 1}
"""Nothing is read ahead: one record of each partition is enough."""


def first_times(config: KafkaConfig, starts: Mapping[Partition, int]) -> dict[Partition, datetime]:
    """When the first record at or after each offset was said, in UTC.

    Not there: partitions that hold none, or whose records have no timestamp. Records of open and
    aborted transactions count, since retention deletes them alike.

    Raises:
        Unavailable: the broker does not answer in `kafka.timeout`.
    """
    if not starts:
        return {}
    consumer = Consumer(
        {
            **native(config),
            **ONE_RECORD,
            "error_cb": lambda _error: None,
            "log_level": 0,
            "group.id": f"bfp-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_uncommitted",
        }
    )
    try:
        consumer.assign([TopicPartition(p.topic, p.partition, at) for p, at in starts.items()])
        return _times(consumer, set(starts), config)
    finally:
        consumer.close()


def _times(
    consumer: Consumer, waiting: set[Partition], config: KafkaConfig
) -> dict[Partition, datetime]:
    found: dict[Partition, datetime] = {}
    while waiting:
        message = consumer.poll(config.timeout.total_seconds())
        error = None if message is None else message.error()
        if message is None or (error is not None and error.code() != END_OF_PARTITION):
            raise Unavailable(
                f"Kafka at {config.bootstrap_servers} does not answer:"
                f" {error.str() if error else 'no record came'}",
                remedy="start the broker or set kafka.bootstrap_servers; try again",
            )
        one = Partition(message.topic() or "", message.partition() or 0)
        if one in waiting and error is None and (stamp := _stamp(message)) is not None:
            found[one] = stamp
        waiting.discard(one)
        consumer.pause([TopicPartition(*one)])
    return found


def _stamp(message: Message) -> datetime | None:
    kind, milliseconds = message.timestamp()
    if kind == TIMESTAMP_NOT_AVAILABLE:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
