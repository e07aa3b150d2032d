"""How many bytes a batch has, from a look at some of its records."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

from confluent_kafka import Consumer, Message, TopicPartition

from processor.batches import Range
from processor.config import KafkaConfig
from processor.kafka.security import native

SAMPLE = 200  # records looked at for each topic
SAMPLE_SECONDS = 2.0  # how long that may take; it decides sizes of files and nothing else
WORTH_A_LOOK = 20_000  # offsets: a smaller batch is taken to have records of the usual size
USUAL_BYTES = 512  # key and value of a record


def bytes_of(config: KafkaConfig, ranges: Sequence[Range]) -> int:
    """About how many bytes of keys and values the ranges hold, uncompressed."""
    by_topic: dict[str, list[Range]] = {}
    for each in ranges:
        by_topic.setdefault(each.topic, []).append(each)
    return sum(_bytes_of_topic(config, of) for of in by_topic.values())


def _bytes_of_topic(config: KafkaConfig, ranges: list[Range]) -> int:
    offsets = sum(each.expected for each in ranges)
    if offsets < WORTH_A_LOOK:
        return offsets * USUAL_BYTES
    return offsets * mean_bytes(_sample(config, max(ranges, key=lambda each: each.expected)))


def mean_bytes(messages: Iterable[Message]) -> int:
    """The mean size of key and value; the usual one where there is no message."""
    sizes = [len(m.key() or b"") + len(m.value() or b"") for m in messages if m.error() is None]
    return -(-sum(sizes) // len(sizes)) if sizes else USUAL_BYTES


def _sample(config: KafkaConfig, each: Range) -> list[Message]:
    """Some records of a range; none where they do not come in time: reading will say why."""
    consumer = Consumer(
        {
            **native(config),
            "group.id": f"bfp-{uuid.uuid4()}",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "error_cb": lambda _error: None,
            "log_level": 0,
        }
    )
    try:
        consumer.assign([TopicPartition(each.topic, each.partition, each.start)])
        found: list[Message] = consumer.consume(SAMPLE, SAMPLE_SECONDS)
        return found
    finally:
        consumer.close()
