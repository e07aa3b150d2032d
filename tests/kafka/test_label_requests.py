"""A label request is one event, with one id, however often its batch is published."""

from __future__ import annotations

import shutil
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from pyspark.sql import SparkSession

from processor.batches import Batch
from processor.config import Config, load
from processor.local.stack import Stack
from processor.stages import publish
from processor.stages.base import Context
from processor.tables import LABEL_REQUESTS, RECEIPTS
from processor.warehouse import Warehouse
from tests.kafka.reader import whole

T0 = datetime(2024, 3, 1, tzinfo=UTC)
CONTRACT = (
    *("query_id", "inference_id", "loop", "policy", "score", "inclusion_prob"),
    *("priority", "expires_at"),
)


def configured(stack: Stack, topic: str) -> Config:
    flags = (
        f"kafka.bootstrap_servers={stack.bootstrap_servers}",
        f"registry.url={stack.registry_url}",
        f"outputs.label_requests={topic}",
    )
    return load(None, flags, {})


def request(number: int, batch: int, loop: str) -> dict[str, Any]:
    return {
        "batch_id": batch,
        "loop": loop,
        "query_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{loop}/{number}")),
        "inference_id": f"i{number}",
        "policy": "uncertainty",
        "score": None if number % 5 == 0 else number / 100,
        "inclusion_prob": 1 / (number + 1),
        "priority": number,
        "response_time": T0,
        "asked_at": T0 + timedelta(hours=batch),
        "expires_at": T0 + timedelta(days=3, microseconds=number),
    }


def publish_of(config: Config, home: Path, batch: int) -> None:
    """The stage, without a JVM."""

    def no_spark() -> SparkSession:
        raise AssertionError("publishing starts no JVM")

    context = Context(config, Warehouse(str(home)), "run", no_spark, lambda _: None)
    publish.run(context, Batch(batch, (), T0, "run", "hash", "code"))


def test_each_request_is_sent_once_though_its_batch_was_killed_before_the_receipts(
    stack: Stack, tmp_path: Path
) -> None:
    topic = f"requests.{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result()
    config, home = configured(stack, topic), tmp_path / "warehouse"
    first = [request(n, 1, loop) for n in range(12) for loop in ("one", "other")]
    Warehouse(str(home)).append_once(LABEL_REQUESTS, first, "solicit", 1)
    before = shutil.copytree(home, tmp_path / "killed")
    publish_of(config, home, 1)
    publish_of(config, before, 1)
    receipts = [Warehouse(str(each)).rows(RECEIPTS).to_pylist() for each in (home, before)]
    assert sorted(receipts[0], key=str) == sorted(receipts[1], key=str)
    second = [request(n, 2, "one") for n in range(12, 15)]
    Warehouse(str(home)).append_once(LABEL_REQUESTS, second, "solicit", 2)
    for batch in (2, 2, 3):
        publish_of(config, home, batch)
    decode: Any = AvroDeserializer(SchemaRegistryClient({"url": stack.registry_url}))
    context = SerializationContext(topic, MessageField.VALUE)
    sent = whole(stack.bootstrap_servers, topic)
    events = {event["event_id"]: event for m in sent if (event := decode(m.value(), context))}
    rows = {row["query_id"]: row for row in (*first, *second)}
    assert len(sent) == len(rows) == len(Warehouse(str(home)).rows(RECEIPTS))
    assert events.keys() == rows.keys()
    for name, event in events.items():
        assert {field: event[field] for field in CONTRACT} == {f: rows[name][f] for f in CONTRACT}
        assert event["event_time"] == rows[name]["asked_at"]
    keys = {(m.key() or b"").decode() for m in sent}
    assert keys == {row["inference_id"] for row in rows.values()}
