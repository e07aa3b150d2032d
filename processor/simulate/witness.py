"""What others said on the input topics, read back into the same ledger as what was produced."""

from __future__ import annotations

import uuid
from typing import Any

import pyarrow as pa
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from processor.config import KafkaConfig, RegistryConfig, Topics
from processor.errors import Unavailable
from processor.kafka.offsets import END_OF_PARTITION, TO_THE_END
from processor.kafka.security import native
from processor.sections import revealed
from processor.simulate.ledger import Ledger
from processor.simulate.message import Message as Said

SECONDS = 10.0  # how long the broker may take for one answer
MICROS_PER_MILLI = 1000


def observed(
    kafka: KafkaConfig, registry: RegistryConfig, topics: Topics, known: pa.Table
) -> pa.Table:
    """The ledger of every record that stands after the last one of `known`, in its partition.

    Raises:
        Unavailable: the broker does not answer.
    """
    consumer = Consumer(
        {
            **native(kafka),
            "group.id": f"witness-{uuid.uuid4()}",
            "enable.auto.commit": False,
            **TO_THE_END,
            "auto.offset.reset": "error",
        }
    )
    client = SchemaRegistryClient({"url": registry.url or "", **revealed(registry.properties)})
    ledger, decode = Ledger(), AvroDeserializer(client)
    try:
        left = _assigned(consumer, topics, known)
        while left:
            message = consumer.poll(SECONDS)
            if message is None:
                raise Unavailable("Kafka sends nothing", remedy="look at the broker's log")
            if (error := message.error()) is None:
                _enter(ledger, topics, message, decode)
            elif error.code() == END_OF_PARTITION:
                left.discard((message.topic(), message.partition()))
    finally:
        consumer.close()
    return ledger.table()


def _assigned(
    consumer: Consumer, topics: Topics, known: pa.Table
) -> set[tuple[str | None, int | None]]:
    """Places the consumer after what is known; the partitions it now reads."""
    names = set(topics.by_topic())
    held = consumer.list_topics(timeout=SECONDS).topics
    ends = known.group_by(["topic", "partition"]).aggregate([("offset", "max")]).to_pylist()
    last = {(row["topic"], row["partition"]): row["offset_max"] for row in ends}
    places = [(t, p) for t in sorted(names & held.keys()) for p in held[t].partitions]
    consumer.assign([TopicPartition(t, p, last.get((t, p), -1) + 1) for t, p in places])
    return set(places)


def _enter(ledger: Ledger, topics: Topics, message: Message, decode: AvroDeserializer) -> None:
    topic = message.topic() or ""
    body: Any = decode(message.value() or b"", SerializationContext(topic, MessageField.VALUE))
    headers = dict(message.headers() or [])
    record = _text(headers["ce_type"]).rpartition(".")[2]
    key = _text(message.key())
    stamp = message.timestamp()[1] * MICROS_PER_MILLI
    place = ledger.add(topic, Said(topics.by_topic()[topic], record, key, stamp, body))
    ledger.confirm(place, message.partition(), message.offset())


def _text(sent: str | bytes | None) -> str:
    return sent.decode() if isinstance(sent, bytes) else sent or ""
