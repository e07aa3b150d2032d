"""The demo's producers against a real broker and registry, read back by a plain consumer."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import timedelta
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Message
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

from processor.config import KafkaConfig, Outputs, RegistryConfig, Topics
from processor.errors import Unavailable
from processor.local.stack import Stack
from processor.resources import resource
from processor.simulate.census import new_year
from processor.simulate.poison import POISON
from processor.simulate.produce import Sender
from processor.simulate.timeline import Timeline
from processor.simulate.topics import PARTITIONS, create_topics
from tests.kafka.reader import whole

PERSONS = 300
SPAN = (new_year(2016), new_year(2017))
READ_SECONDS = 20.0


class Sent(NamedTuple):
    kafka: KafkaConfig
    registry: RegistryConfig
    topics: Topics
    timeline: Timeline
    ledger: pa.Table
    held: dict[tuple[str, int, int], Message]


def own_topics() -> Topics:
    mark = uuid.uuid4().hex[:8]
    return Topics(**{name: f"{mark}.{name}" for name in Topics.model_fields})


def read(kafka: KafkaConfig, topics: Topics) -> dict[tuple[str, int, int], Message]:
    """Every record of the topics by its coordinates, as a plain consumer sees them."""
    found = whole(kafka.bootstrap_servers, *topics.model_dump().values())
    return {(m.topic() or "", m.partition() or 0, m.offset() or 0): m for m in found}


@pytest.fixture(scope="module")
def sent(stack: Stack) -> Sent:
    kafka = KafkaConfig(bootstrap_servers=stack.bootstrap_servers)
    registry, topics = RegistryConfig(url=stack.registry_url), own_topics()
    outputs = Outputs(**{name: f"{topics.inferences}.{name}" for name in Outputs.model_fields})
    create_topics(kafka, topics, outputs)
    create_topics(kafka, topics, outputs)  # those that are there stay
    census = pq.read_table(resource("data", "employment_ma.parquet"))
    timeline = Timeline.of(census, (2016,), 5, PERSONS)
    ledger = Sender(kafka, registry, topics).send(timeline.between(*SPAN))
    return Sent(kafka, registry, topics, timeline, ledger, read(kafka, topics))


def test_the_ledger_is_what_kafka_holds(sent: Sent) -> None:
    assert sent.ledger.num_rows == len(sent.held) == sent.timeline.count(*SPAN)
    for row in sent.ledger.to_pylist():
        message = sent.held[row["topic"], row["partition"], row["offset"]]
        assert message.key() == row["key"].encode()
        assert message.timestamp()[1] == row["timestamp"].timestamp() * 1000
        headers: dict[str, Any] = dict(message.headers() or [])
        assert headers["ce_id"].decode() == row["event_id"]
        assert headers["ce_type"].decode() == f"io.bfp.events.v1.{row['record']}"
        assert headers["content-type"] == b"application/avro"


def test_good_messages_decode_with_the_registered_schemas_and_poison_does_not(sent: Sent) -> None:
    decode = AvroDeserializer(SchemaRegistryClient({"url": sent.registry.url}))
    spoilt: Counter[str] = Counter()
    for row in sent.ledger.to_pylist():
        value = sent.held[row["topic"], row["partition"], row["offset"]].value()
        context = SerializationContext(row["topic"], MessageField.VALUE)
        if row["poison"] is None:
            body: Any = decode(value, context)
            assert body["event_id"] == row["event_id"]
            assert body["event_time"] == row["event_time"]
            assert body.get("value_bool") == row["value_bool"]
            assert body.get("known_time") == row["known_time"]
            assert body.get("class_probs", {}).get("true") == row["pred_score"]
            continue
        spoilt[row["poison"]] += 1
        with pytest.raises((SerializationError, SchemaRegistryError, EOFError)):
            decode(value or b"", context)
    assert set(spoilt) == set(POISON)


def test_an_empty_value_is_not_a_null_one(sent: Sent) -> None:
    empty = sent.ledger.filter(pc.equal(sent.ledger["poison"], "empty_value")).to_pylist()
    assert empty
    for row in empty:
        assert sent.held[row["topic"], row["partition"], row["offset"]].value() == b""


def test_an_inference_and_its_answers_share_a_partition(sent: Sent) -> None:
    rows = sent.ledger.filter(pc.is_null(sent.ledger["poison"])).to_pylist()
    of = {r["key"]: r["partition"] for r in rows if r["record"] == "InferenceEvent"}
    answers = [r for r in rows if r["record"] == "GroundTruth"]
    assert all(of[r["inference_id"]] == r["partition"] for r in answers)
    assert set(of.values()) == set(range(PARTITIONS))


def test_old_timestamps_stay_on_the_topics(sent: Sent) -> None:
    admin = AdminClient({"bootstrap.servers": sent.kafka.bootstrap_servers})
    asked = [ConfigResource(ResourceType.TOPIC, name) for name in sent.topics.model_dump().values()]
    for future in admin.describe_configs(asked).values():
        config = future.result(READ_SECONDS)
        assert config["retention.ms"].value == "-1"
        assert config["message.timestamp.type"].value == "CreateTime"


def test_no_broker_and_no_registry_are_said_with_a_remedy(sent: Sent) -> None:
    nowhere = KafkaConfig(bootstrap_servers="127.0.0.1:1", timeout=timedelta(seconds=1))
    with pytest.raises(Unavailable, match="does not make") as no_broker:
        create_topics(nowhere, sent.topics, Outputs())
    assert no_broker.value.exit_code == 75
    sender = Sender(sent.kafka, RegistryConfig(url="http://127.0.0.1:1"), sent.topics)
    with pytest.raises(Unavailable, match="schema registry") as no_registry:
        sender.send(sent.timeline.between(*SPAN))
    assert "bfp local up" in no_registry.value.remedy
