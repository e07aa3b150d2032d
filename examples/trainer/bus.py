"""Broker and registry, as the training program uses them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

from trainer.errors import OutsideDownError

ANSWER_SECONDS = 5.0  # how long the broker may take to answer
DELIVERY_MS = 60_000
LONGEST_TRAINING_MS = 3_600_000
NOT_FOUND = 404  # the registry's status for a schema that nobody registered
SESSION_MS = 10_000  # after a crash, the next start waits this long for the topic


@dataclass(frozen=True)
class Event:
    """An event to send: its topic, its contract, its key and its body."""

    topic: str
    record: str
    key: str
    body: Mapping[str, Any]


class Bus:
    """Broker and registry: triggers come in, events go out and are confirmed."""

    def __init__(self, servers: str, registry_url: str, group: str, schemas: Path) -> None:
        self._schemas = schemas
        self._quiet = {
            "bootstrap.servers": servers,
            "error_cb": lambda _error: None,
            "log_level": 0,
        }
        self._registry = SchemaRegistryClient({"url": registry_url})
        self._decode = AvroDeserializer(self._registry)
        self._consumer = Consumer(
            {
                **self._quiet,
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,  # the end of the topic is said at once
                "session.timeout.ms": SESSION_MS,
                "max.poll.interval.ms": LONGEST_TRAINING_MS,
            }
        )

    def triggers(
        self, topic: str, *, to_end: bool
    ) -> Iterator[tuple[Message, dict[str, Any] | None]]:
        """Triggers as they come, None for an unreadable one; `to_end` stops at the topic's end."""
        left = set(self._partitions(topic))
        self._consumer.subscribe([topic])
        while left:
            message = self._consumer.poll(1.0)
            if message is None:
                continue
            if (error := message.error()) is None:
                yield message, self._decoded(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its only name
                if to_end:
                    left.discard(message.partition())
            elif not error.retriable():
                raise OutsideDownError(f"the topic {topic} cannot be read: {error.str()}")

    def publish(self, events: Iterable[Event], at: datetime) -> None:
        """Sends events, and returns when the broker has confirmed every one."""
        failures: set[str] = set()
        producer = Producer(
            {
                **self._quiet,
                "acks": "all",
                "enable.idempotence": True,
                "delivery.timeout.ms": DELIVERY_MS,
                "partitioner": "murmur2_random",  # as Java's clients
            }
        )

        def confirmed(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failures.add(error.str())

        encoders: dict[str, AvroSerializer] = {}
        for event in events:
            if event.record not in encoders:
                encoders[event.record] = self._encoder(event.record)
            encode = encoders[event.record]
            producer.produce(
                event.topic,
                key=event.key,
                value=self._asked(encode, event),
                headers=[*_headers(event)],
                timestamp=round(at.timestamp() * 1000),
                on_delivery=confirmed,
            )
            producer.poll(0)
        producer.flush()
        if failures:
            raise OutsideDownError(f"events were not delivered: {'; '.join(failures)}")

    def _encoder(self, record: str) -> AvroSerializer:
        schema = (self._schemas / f"{record}.avsc").read_text()
        settings = {"subject.name.strategy": topic_subject_name_strategy}
        encoder: AvroSerializer = AvroSerializer(self._registry, schema, conf=settings)
        return encoder

    def _asked(self, encode: AvroSerializer, event: Event) -> bytes | None:
        try:
            return encode(event.body, SerializationContext(event.topic, MessageField.VALUE))
        except (httpx2.TransportError, SchemaRegistryError) as error:
            raise OutsideDownError(f"the registry does not answer: {error}") from error

    def _decoded(self, message: Message) -> dict[str, Any] | None:
        context = SerializationContext(message.topic() or "", MessageField.VALUE)
        try:
            body: dict[str, Any] | None = self._decode(message.value(), context)
        except SchemaRegistryError as error:
            if error.http_status_code == NOT_FOUND:
                return None
            raise OutsideDownError(f"the registry does not answer: {error}") from error
        except httpx2.TransportError as error:
            raise OutsideDownError(f"the registry does not answer: {error}") from error
        except (SerializationError, EOFError, ValueError):
            return None
        return body

    def commit(self, message: Message) -> None:
        """Notes that the trigger need not be delivered again."""
        self._consumer.commit(message=message, asynchronous=False)

    def close(self) -> None:
        """Leaves the group, so that another start need not wait."""
        self._consumer.close()

    def _partitions(self, topic: str) -> Iterable[int]:
        try:
            found = self._consumer.list_topics(topic, ANSWER_SECONDS).topics[topic]
        except KafkaException as error:
            raise OutsideDownError(f"Kafka does not answer: {error.args[0].str()}") from error
        if found.error is not None:
            raise OutsideDownError(f"no topic {topic}: {found.error.str()}")
        partitions: Iterable[int] = found.partitions
        return partitions


def _headers(event: Event) -> Iterator[tuple[str, str]]:
    """CloudEvents, binary mode."""
    yield "ce_specversion", "1.0"
    yield "ce_id", event.body["event_id"]
    yield "ce_source", event.body["source"]
    yield "ce_type", f"io.bfp.events.v1.{event.record}"
    yield "ce_time", event.body["event_time"].isoformat()
    yield "ce_subject", event.key
    yield "content-type", "application/avro"
