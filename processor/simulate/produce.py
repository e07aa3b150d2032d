"""Sending a timeline as any service would: confluent-kafka's own serialiser and registry client.

Every delivery is confirmed, and where each message stands is kept in a ledger.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial

import httpx2
import pyarrow as pa
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from processor.avro.contracts import contract
from processor.config import KafkaConfig, RegistryConfig, Topics
from processor.errors import Unavailable
from processor.kafka.security import native
from processor.sections import revealed
from processor.simulate.ledger import Ledger
from processor.simulate.message import Message as Said
from processor.simulate.poison import spoil

LINGER_MS = 50
DELIVERY_TIMEOUT_MS = 60_000
QUEUE_MESSAGES = 200_000  # of the client; when they are full, sending waits
MICROS_PER_MILLI = 1000
MICROS_PER_SECOND = 1_000_000
POLL_EVERY = 1000  # messages between looks at the delivery reports


class Sender:
    """Sends messages to one broker and keeps the ledger of what was delivered where."""

    def __init__(self, kafka: KafkaConfig, registry: RegistryConfig, topics: Topics) -> None:
        self._where = kafka.bootstrap_servers
        self._registry = registry
        self._topics: dict[str, str] = topics.model_dump()
        self._serialisers: dict[str, tuple[AvroSerializer, SerializationContext]] = {}
        self._producer = Producer(
            {
                **native(kafka),
                "acks": "all",
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": LINGER_MS,
                "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
                "queue.buffering.max.messages": QUEUE_MESSAGES,
                "partitioner": "murmur2_random",  # as Java's clients: equal keys, equal partitions
                "error_cb": lambda _error: None,
                "log_level": 0,
            }
        )
        self._failures: set[str] = set()

    def send(self, messages: Iterable[Said]) -> pa.Table:
        """Sends every message and returns the ledger, once the broker has confirmed them all.

        Raises:
            Unavailable: broker or registry is not there; some messages may have been sent.
        """
        ledger = Ledger()
        for count, message in enumerate(messages):
            self._send(message, ledger)
            if count % POLL_EVERY == 0:
                self._producer.poll(0)
                self._check()
        self._producer.flush()
        self._check()
        return ledger.table()

    def _send(self, message: Said, ledger: Ledger) -> None:
        topic = self._topics[message.table]
        value = self._encoded(topic, message)
        if message.poison is not None:
            value = spoil(message.poison, value)
        place = ledger.add(topic, message)
        while True:
            try:
                self._producer.produce(
                    topic,
                    key=message.key,
                    value=value,
                    headers=_headers(message),
                    timestamp=message.timestamp // MICROS_PER_MILLI,
                    on_delivery=partial(self._confirmed, ledger, place),
                )
            except BufferError:
                self._producer.poll(1.0)
                self._check()
            else:
                return

    def _confirmed(
        self, ledger: Ledger, place: int, error: KafkaError | None, sent: Message
    ) -> None:
        if error is None:
            ledger.confirm(place, sent.partition(), sent.offset())
        else:
            self._failures.add(f"{sent.topic()}: {error.str()}")

    def _check(self) -> None:
        if self._failures:
            raise Unavailable(
                f"Kafka at {self._where} did not take a message: {'; '.join(self._failures)}",
                remedy="look at the broker's log, start it again, and produce into empty topics",
            )

    def _encoded(self, topic: str, message: Said) -> bytes:
        if message.record not in self._serialisers:
            self._serialisers[message.record] = self._serialiser(topic, message.record)
        serialise, context = self._serialisers[message.record]
        try:
            encoded = serialise(message.body, context)
        except (httpx2.TransportError, SchemaRegistryError) as error:
            raise Unavailable(
                f"the schema registry {self._registry.url} does not take {message.record}: {error}",
                remedy="start the registry (`bfp local up`) or set registry.url, and try again",
            ) from error
        return encoded or b""

    def _serialiser(self, topic: str, record: str) -> tuple[AvroSerializer, SerializationContext]:
        client = SchemaRegistryClient(
            {"url": self._registry.url or "", **revealed(self._registry.properties)}
        )
        settings = {
            "subject.name.strategy": topic_subject_name_strategy,
            "validate.strict.allow.default": True,  # a misspelt field is refused, not dropped
        }
        serialiser = AvroSerializer(client, contract(record).text, conf=settings)
        return serialiser, SerializationContext(topic, MessageField.VALUE)


def _headers(message: Said) -> list[tuple[str, str | bytes | None]]:
    """CloudEvents, binary mode."""
    at = datetime.fromtimestamp(message.body["event_time"] / MICROS_PER_SECOND, UTC)
    return [
        ("ce_specversion", "1.0"),
        ("ce_id", message.body["event_id"]),
        ("ce_source", message.body["source"]),
        ("ce_type", f"io.bfp.events.v1.{message.record}"),
        ("ce_time", at.isoformat()),
        ("ce_subject", message.key),
        ("content-type", "application/avro"),
    ]
