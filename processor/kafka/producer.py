"""Publishing events: idempotent producer, every delivery confirmed, ids already there found."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from processor.config import KafkaConfig
from processor.errors import Unavailable
from processor.kafka.offsets import END_OF_PARTITION, TO_THE_END
from processor.kafka.security import native

CE_ID = "ce_id"


@dataclass(frozen=True)
class Outgoing:
    """An event to publish: `event_id` is the same however often it is sent.

    `record` is the name of its contract, and `schema` that contract's text.
    """

    event_id: str
    record: str
    schema: str
    topic: str
    key: str
    body: Mapping[str, Any]
    event_time: datetime


@dataclass(frozen=True)
class Receipt:
    """Where an event stands on Kafka."""

    event_id: str
    record: str
    topic: str
    partition: int
    offset: int


Encode = Callable[[Outgoing], bytes]
"""The value of an event as it stands on the topic, framing included."""


class Publisher:
    """Sends events, and finds those that were sent; what they are encoded with, others say."""

    def __init__(self, kafka: KafkaConfig, source: str) -> None:
        self._kafka = kafka
        self._source = source
        self._seconds = kafka.timeout.total_seconds()

    def already_sent(self, topic: str, after: Mapping[int, int]) -> dict[str, Receipt]:
        """What stands on `topic` beyond the offsets in `after` (by partition), by event id."""
        consumer = Consumer(
            {
                **self._quiet(),
                "group.id": f"bfp-{uuid.uuid4()}",
                "enable.auto.commit": False,
                **TO_THE_END,
                "isolation.level": "read_committed",
            }
        )
        try:
            return self._scan(consumer, topic, after)
        finally:
            consumer.close()

    def send(self, events: Iterable[Outgoing], encode: Encode) -> tuple[Receipt, ...]:
        """Sends every event and returns where each stands, once the broker has confirmed all.

        Raises:
            Unavailable: the broker is not there, or a topic cannot be written.
        """
        producer = Producer(
            {
                **self._quiet(),
                "enable.idempotence": True,
                "acks": "all",
                "delivery.timeout.ms": int(self._seconds * 1000),
            }
        )
        receipts: list[Receipt] = []
        failures: list[str] = []

        def confirmed(event: Outgoing, error: KafkaError | None, message: Message) -> None:
            if error is None:
                receipts.append(_receipt(event.event_id, event.record, message))
            else:
                failures.append(f"{message.topic()}: {error.str()}")

        for event in events:
            message = {
                "key": event.key,
                "value": encode(event),
                "headers": list(self._headers(event).items()),
                "on_delivery": partial(confirmed, event),
            }
            while not _queued(producer, event.topic, message):
                producer.poll(self._seconds)
        producer.flush()
        if failures:
            raise self._down("; ".join(sorted(set(failures))))
        return tuple(receipts)

    def _headers(self, event: Outgoing) -> dict[str, str]:
        """CloudEvents, binary mode."""
        return {
            CE_ID: event.event_id,
            "ce_source": self._source,
            "ce_type": f"io.bfp.events.v1.{event.record}",
            "ce_specversion": "1.0",
            "ce_time": event.event_time.isoformat(),
            "ce_subject": event.key,
            "content-type": "application/avro",
        }

    def _scan(self, consumer: Consumer, topic: str, after: Mapping[int, int]) -> dict[str, Receipt]:
        try:
            partitions = consumer.list_topics(topic, self._seconds).topics[topic].partitions
        except KafkaException as error:
            raise self._down(error.args[0].str()) from error
        starts = {p: after[p] + 1 if p in after else OFFSET_BEGINNING for p in partitions}
        consumer.assign([TopicPartition(topic, p, start) for p, start in starts.items()])
        found: dict[str, Receipt] = {}
        open_partitions = set(partitions)
        while open_partitions:
            message = consumer.poll(self._seconds)
            if message is None:
                raise self._down(f"{topic} cannot be read")
            if (problem := message.error()) is None:
                receipt = _receipt_of(message)
                found[receipt.event_id] = receipt
            elif problem.code() == END_OF_PARTITION:
                open_partitions.discard(message.partition() or 0)
            else:
                raise self._down(problem.str())
        return found

    def _quiet(self) -> dict[str, Any]:
        return {**native(self._kafka), "error_cb": lambda _error: None, "log_level": 0}

    def _down(self, why: str) -> Unavailable:
        return Unavailable(
            f"Kafka at {self._kafka.bootstrap_servers} does not publish: {why}",
            remedy="start the broker, create the output topics if it makes none; then run again",
        )


def _queued(producer: Producer, topic: str, message: Mapping[str, Any]) -> bool:
    """Hands a message to the producer; or not, where its queue is full."""
    try:
        producer.produce(topic, **message)
    except BufferError:
        return False
    return True


def _receipt_of(message: Message) -> Receipt:
    """The receipt of a message as a consumer sees it; its id is empty if it names none."""
    headers = {key: _text(value) for key, value in dict(message.headers() or {}).items()}
    record = headers.get("ce_type", "").rpartition(".")[2]
    return _receipt(headers.get(CE_ID, ""), record, message)


def _receipt(event_id: str, record: str, message: Message) -> Receipt:
    place = (message.topic() or "", message.partition() or 0, message.offset() or 0)
    return Receipt(event_id, record, *place)


def _text(value: str | bytes | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""
