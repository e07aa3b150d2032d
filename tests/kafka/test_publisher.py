"""Events are sent once, confirmed, and readable by anybody with the registry's address."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from processor.avro.contracts import contract
from processor.avro.encode import by_id, encode
from processor.avro.registry import schema_id
from processor.config import KafkaConfig, RegistryConfig
from processor.errors import Unavailable
from processor.kafka.producer import Encode, Outgoing, Publisher, Receipt
from processor.local.stack import Stack
from tests.kafka.reader import whole

WHEN = datetime(2016, 1, 2, 3, 4, 5, tzinfo=UTC)
RECORD = "ModelLifecycle"
NOBODY = "127.0.0.1:1"  # a port at which nobody listens


def event(topic: str, number: int) -> Outgoing:
    ident = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{topic}/{number}"))
    body: dict[str, Any] = {
        "event_id": ident,
        "event_time": WHEN,
        "source": "urn:test",
        "model_name": "Grüße",
        "model_version": str(number),
        "action": "REGISTERED",
    }
    schema = contract(RECORD).text
    return Outgoing(ident, RECORD, schema, topic, f"model {number % 3}", body, WHEN)


def own_topic(stack: Stack) -> str:
    name = f"published.{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    admin.create_topics([NewTopic(name, num_partitions=3, replication_factor=1)])[name].result()
    return name


def publisher(stack: Stack, seconds: float = 10.0, **other: str) -> Publisher:
    kafka = KafkaConfig(
        bootstrap_servers=other.get("kafka", stack.bootstrap_servers),
        timeout=timedelta(seconds=seconds),
    )
    return Publisher(kafka, "/test")


def encoding(stack: Stack, topic: str) -> Encode:
    """With the id that the registry gives the contract on a topic."""
    number = schema_id(RegistryConfig(url=stack.registry_url), topic, contract(RECORD).text)
    return lambda event: encode(event.body, event.schema, by_id(number))


def nothing(event: Outgoing) -> bytes:
    return b"\0"


def test_each_event_stands_where_its_receipt_says_and_decodes_by_the_registry(
    stack: Stack,
) -> None:
    topic = own_topic(stack)
    events = [event(topic, number) for number in range(20)]
    receipts = publisher(stack).send(events, encoding(stack, topic))
    assert {receipt.event_id for receipt in receipts} == {each.event_id for each in events}
    held = {(m.partition(), m.offset()): m for m in whole(stack.bootstrap_servers, topic)}
    assert len(held) == len(events)
    decode = AvroDeserializer(SchemaRegistryClient({"url": stack.registry_url}))
    by_id = {each.event_id: each for each in events}
    for receipt in receipts:
        message, sent = held[receipt.partition, receipt.offset], by_id[receipt.event_id]
        context = SerializationContext(topic, MessageField.VALUE)
        said = decode(message.value(), context)
        assert isinstance(said, dict)
        assert {name: said[name] for name in sent.body} == dict(sent.body)
        assert message.key() == sent.key.encode()
        headers = dict(message.headers() or ())
        assert headers["ce_id"] == sent.event_id.encode()
        assert headers["ce_source"] == b"/test"
        assert (receipt.record, receipt.topic) == (RECORD, topic)
    assert len({m.partition() for m in held.values() if m.key() == b"model 0"}) == 1


def test_what_a_crashed_run_sent_is_found_and_nothing_else(stack: Stack) -> None:
    topic = own_topic(stack)
    events = [event(topic, number) for number in range(6)]
    assert publisher(stack).already_sent(topic, {}) == {}
    first = publisher(stack).send(events[:3], nothing)
    crashed = publisher(stack).send(events[3:], nothing)
    found = publisher(stack).already_sent(topic, {})
    assert found == {receipt.event_id: receipt for receipt in (*first, *crashed)}
    ends: dict[int, int] = {}
    for receipt in first:
        ends[receipt.partition] = max(receipt.offset, ends.get(receipt.partition, -1))
    beyond = publisher(stack).already_sent(topic, ends)
    assert beyond == {receipt.event_id: receipt for receipt in crashed}


def test_more_events_than_the_producer_holds_are_all_sent(stack: Stack) -> None:
    topic = own_topic(stack)
    kafka = KafkaConfig(
        bootstrap_servers=stack.bootstrap_servers,
        properties={"queue.buffering.max.messages": "7"},
    )
    events = [event(topic, number) for number in range(60)]
    receipts = Publisher(kafka, "/test").send(events, nothing)
    assert {each.event_id for each in receipts} == {each.event_id for each in events}
    assert len(whole(stack.bootstrap_servers, topic)) == len(events)


def test_nothing_to_send_is_nothing_sent(stack: Stack) -> None:
    assert publisher(stack).send((), nothing) == ()


def test_a_broker_that_is_not_there_is_said_and_no_receipt_is_given(stack: Stack) -> None:
    alone = publisher(stack, seconds=1.0, kafka=NOBODY)
    receipts: tuple[Receipt, ...] = ()
    with pytest.raises(Unavailable, match=NOBODY) as said:
        receipts = alone.send([event(own_topic(stack), 1)], nothing)
    assert (said.value.exit_code, receipts) == (75, ())
    with pytest.raises(Unavailable, match=NOBODY):
        alone.already_sent(own_topic(stack), {})


def test_an_event_is_encoded_as_the_registry_s_own_serialiser_does(stack: Stack) -> None:
    topic = own_topic(stack)
    client = SchemaRegistryClient({"url": stack.registry_url})
    theirs = AvroSerializer(client, contract(RECORD).text)
    ours = encoding(stack, topic)
    for number in range(3):
        sent = event(topic, number)
        context = SerializationContext(topic, MessageField.VALUE)
        assert ours(sent) == theirs(dict(sent.body), context)
    assert f"{topic}-value" in client.get_subjects()


def test_a_registry_that_is_not_there_gives_no_id(stack: Stack) -> None:
    with pytest.raises(Unavailable, match=NOBODY) as said:
        schema_id(RegistryConfig(url=f"http://{NOBODY}"), "t", contract(RECORD).text)
    assert said.value.exit_code == 75
