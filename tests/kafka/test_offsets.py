"""What the broker is asked, and says: bounds, transactions, topic ids, absence."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from processor.batches import Partition
from processor.config import KafkaConfig
from processor.errors import Unavailable
from processor.kafka.offsets import Broker

LIMIT = 30.0  # seconds
NOBODY = "127.0.0.1:1"  # a port at which no broker listens


def created(
    kafka: KafkaConfig, name: str, partitions: int = 1, config: dict[str, str] | None = None
) -> str:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=config or {})
    admin.create_topics([topic])[name].result(LIMIT)
    return name


def deleted(kafka: KafkaConfig, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.delete_topics([name])[name].result(LIMIT)


def own_name() -> str:
    return f"offsets.{uuid.uuid4().hex[:8]}"


def send(producer: Producer, topic: str, count: int, partition: int = 0) -> None:
    for number in range(count):
        producer.produce(topic, value=str(number).encode(), partition=partition)
    assert producer.flush(LIMIT) == 0


@contextmanager
def transactions(kafka: KafkaConfig) -> Iterator[Producer]:
    """A producer that speaks in transactions; what it leaves open is aborted after the block."""
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": uuid.uuid4().hex}
    )
    producer.init_transactions(LIMIT)
    yield producer


def test_bounds_of_every_partition_and_of_topics_that_exist_alone(kafka: KafkaConfig) -> None:
    topic, empty = created(kafka, own_name(), partitions=3), created(kafka, own_name())
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    send(producer, topic, 5, partition=0)
    send(producer, topic, 2, partition=2)
    bounds = Broker(kafka).bounds([topic, empty, own_name()])
    found = {
        (p.topic, p.partition): (each.log_start, each.end, each.high_watermark)
        for p, each in bounds.items()
    }
    assert found == {
        (topic, 0): (0, 5, 5),
        (topic, 1): (0, 0, 0),
        (topic, 2): (0, 2, 2),
        (empty, 0): (0, 0, 0),
    }
    assert len({each.topic_id for p, each in bounds.items() if p.topic == topic}) == 1
    assert Broker(kafka).bounds([]) == {}


def test_an_open_transaction_holds_the_end_back(kafka: KafkaConfig) -> None:
    topic = created(kafka, own_name())
    first = Partition(topic, 0)
    broker = Broker(kafka)
    with transactions(kafka) as producer:
        producer.begin_transaction()
        send(producer, topic, 3)
        producer.commit_transaction(LIMIT)  # offsets 0 to 2, a control record at 3
        producer.begin_transaction()
        send(producer, topic, 2)
        producer.abort_transaction(LIMIT)  # 4 and 5, a control record at 6
        producer.begin_transaction()
        send(producer, topic, 4)  # 7 to 10: open
        held = broker.bounds([topic])[first]
        assert (held.end, held.high_watermark) == (7, 11)
        producer.commit_transaction(LIMIT)
    until = time.monotonic() + LIMIT
    while (freed := broker.bounds([topic])[first]).end < freed.high_watermark:
        assert time.monotonic() < until, "the transaction was committed"
    assert (freed.end, freed.high_watermark) == (12, 12)


def test_a_topic_made_again_under_its_name_is_another(kafka: KafkaConfig) -> None:
    topic = created(kafka, own_name())
    broker = Broker(kafka)
    before = broker.bounds([topic])[Partition(topic, 0)].topic_id
    deleted(kafka, topic)
    until = time.monotonic() + LIMIT
    while broker.bounds([topic]):
        assert time.monotonic() < until, "the topic was deleted"
    created(kafka, topic)
    while not (after := broker.bounds([topic])):
        assert time.monotonic() < until, "the topic was created"
    assert after[Partition(topic, 0)].topic_id != before


def test_whether_a_topic_may_drop_what_was_superseded(kafka: KafkaConfig) -> None:
    kept = created(kafka, own_name())
    compacted = created(kafka, own_name(), config={"cleanup.policy": "compact,delete"})
    broker = Broker(kafka)
    assert [broker.compacted(topic) for topic in (kept, compacted)] == [False, True]


def test_a_broker_that_is_not_there_is_said_in_time() -> None:
    absent = KafkaConfig(bootstrap_servers=NOBODY, timeout=timedelta(seconds=1))
    begun = time.monotonic()
    with pytest.raises(Unavailable, match=NOBODY) as said:
        Broker(absent).bounds(["any"])
    assert time.monotonic() - begun < LIMIT
    assert "bootstrap_servers" in said.value.remedy
