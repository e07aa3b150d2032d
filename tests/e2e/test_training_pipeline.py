"""The example's training program: a trigger is handled once, however often it is delivered."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from processor.avro.contracts import contract
from processor.local.stack import Stack
from tests.kafka.reader import whole

PROGRAM = Path(__file__).parents[2] / "examples" / "training_pipeline.py"
AT = datetime(2017, 1, 1, tzinfo=UTC)
TIMES_DELIVERED = 5
SECONDS = 20.0
ROWS = {"train": 400, "validation": 50, "test": 50}


@dataclass(frozen=True)
class World:
    """One broker's three topics of a test's own, a dataset, and the program's state."""

    stack: Stack
    mark: str
    home: Path

    def topic(self, name: str) -> str:
        return f"{self.mark}.{name}"

    def start(self, *more: str) -> subprocess.CompletedProcess[str]:
        topics = [
            *("--triggers-topic", self.topic("triggers")),
            *("--lifecycle-topic", self.topic("lifecycle")),
            *("--inferences-topic", self.topic("inferences")),
        ]
        where = [
            *("--bootstrap-servers", self.stack.bootstrap_servers),
            *("--registry-url", self.stack.registry_url),
            *("--state", str(self.home / "state.json"), "--group", self.mark),
        ]
        command = [sys.executable, str(PROGRAM), *where, *topics, "--once", "--json", *more]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    def deliver(self, trigger: dict[str, Any], times: int = 1) -> None:
        topic = self.topic("triggers")
        registry = SchemaRegistryClient({"url": self.stack.registry_url})
        encode = AvroSerializer(registry, contract("RetrainingTrigger").text)
        value = encode(trigger, SerializationContext(topic, MessageField.VALUE))
        producer = Producer({"bootstrap.servers": self.stack.bootstrap_servers})
        for _ in range(times):
            producer.produce(topic, key=trigger["model_name"], value=value)
        assert producer.flush(SECONDS) == 0

    def read(self, name: str) -> list[dict[str, Any]]:
        """Every event on a topic, with the record's timestamp as `at_ms`."""
        decode = AvroDeserializer(SchemaRegistryClient({"url": self.stack.registry_url}))
        found: list[dict[str, Any]] = []
        for message in whole(self.stack.bootstrap_servers, self.topic(name)):
            context = SerializationContext(self.topic(name), MessageField.VALUE)
            body: Any = decode(message.value(), context)
            found.append({**body, "at_ms": message.timestamp()[1]})
        return found


@pytest.fixture
def world(stack: Stack, tmp_path: Path) -> World:
    made = World(stack, uuid.uuid4().hex[:8], tmp_path)
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    names = ("triggers", "lifecycle", "inferences")
    wanted = [NewTopic(made.topic(n), 1, 1, config={"retention.ms": "-1"}) for n in names]
    for future in admin.create_topics(wanted).values():
        future.result(SECONDS)
    return made


def dataset(folder: Path) -> Path:
    """A version in which age alone decides the label, as a manifest and Parquet files."""
    rng = np.random.default_rng(0)
    splits = []
    for name, n in ROWS.items():
        age = rng.uniform(0, 90, n)
        rows = pa.table(
            {
                "inference_id": [f"{name}-{i}" for i in range(n)],
                "request_id": [f"request-{name}-{i}" for i in range(n)],
                "subject_key": [f"subject-{name}-{i}" for i in range(n)],
                "num.AGEP": age,
                "str.SCHL": pa.array([None if i % 10 == 0 else str(i % 3) for i in range(n)]),
                "label": np.where(age > 40, "true", "false"),
                "inclusion_prob": np.full(n, 0.5),
                "weight": np.full(n, 2.0),
            }
        )
        path = folder / "parquet" / name / "part-00000.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(rows, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        file = {"path": str(path.relative_to(folder)), "rows": n, "sha256": digest}
        splits.append({"name": name, "rows": n, "files": [file]})
    manifest = {
        "columns": {"label": "label", "weight": "weight"},
        "features": {"numeric": "num.", "categorical": "str."},
        "positive": "true",
        "splits": splits,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def trigger(uri: Path, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # whatever the contract has
    trigger_id = str(uuid.uuid4())
    return {
        "event_id": trigger_id,
        "event_time": AT,
        "source": "test",
        "trigger_id": trigger_id,
        "dedupe_key": "k",
        "loop": "l",
        "rule": "volume",
        "rule_hash": "h",
        "reason": "VOLUME",
        "state": "FIRED",
        "action": "INCREMENTAL",
        "model_name": "classifier",
        "baseline_version": "1",
        "batch_id": 1,
        "window_start": AT,
        "window_end": AT,
        "consecutive": 1,
        "dataset": "people",
        "dataset_version": "v1",
        "dataset_uri": uri.as_uri(),
        "explanation": "enough",
        "run_id": "r",
        **more,
    }


def test_five_deliveries_are_one_training(world: World) -> None:
    told = trigger(dataset(world.home / "v1"))
    world.deliver(told, TIMES_DELIVERED)
    first = world.start("--event-time", AT.isoformat())
    assert first.returncode == 0, first.stderr
    done = json.loads(first.stdout)
    assert [made["trigger_id"] for made in done["trained"]] == [told["trigger_id"]]
    assert done["known_already"] == TIMES_DELIVERED - 1

    lifecycle = world.read("lifecycle")
    assert [e["action"] for e in lifecycle] == ["TRAINING_STARTED", "REGISTERED", "DEPLOYED"]
    assert {e["trigger_id"] for e in lifecycle} == {told["trigger_id"]}
    assert {e["from_version"] for e in lifecycle} == {"1"}
    assert lifecycle[-1]["role"] == "SHADOW"
    assert {e["at_ms"] for e in lifecycle} == {int(AT.timestamp() * 1000)}
    shadows = world.read("inferences")
    assert {e["request_id"] for e in shadows} == {f"request-test-{i}" for i in range(50)}
    assert {e["role"] for e in shadows} == {"SHADOW"}
    assert {e["model_version"] for e in shadows} == {done["trained"][0]["model_version"]}
    right = [(e["pred_label"] == "true") == (e["features_num"]["AGEP"] > 40) for e in shadows]
    assert np.mean(right) > 0.9

    world.deliver(told)
    again = world.start()
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["trained"] == []
    assert json.loads(again.stdout)["known_already"] == 1
    assert len(world.read("lifecycle")) == 3
    assert len(world.read("inferences")) == 50


def test_a_crash_in_training_is_made_good_under_the_same_ids(world: World) -> None:
    told = trigger(dataset(world.home / "v1"))
    world.deliver(told)
    assert world.start().returncode == 0
    state = world.home / "state.json"
    before = json.loads(state.read_text())
    before[told["trigger_id"]]["state"] = "started"  # as if it had died before the last mark
    state.write_text(json.dumps(before))
    world.deliver(told)
    again = world.start()
    assert len(json.loads(again.stdout)["trained"]) == 1
    for name in ("lifecycle", "inferences"):
        ids = Counter(event["event_id"] for event in world.read(name))
        assert set(ids.values()) == {2}
    assert len({e["pred_label"] + e["inference_id"] for e in world.read("inferences")}) == 50


def test_a_changed_file_is_refused_and_said(world: World) -> None:
    folder = dataset(world.home / "v1")
    part = folder / "parquet" / "train" / "part-00000.parquet"
    part.write_bytes(part.read_bytes() + b" ")
    told = trigger(folder)
    world.deliver(told)
    refused = world.start()
    assert refused.returncode == 3
    assert "not the file that the manifest describes" in refused.stderr
    assert [e["action"] for e in world.read("lifecycle")] == ["TRAINING_STARTED", "TRAINING_FAILED"]
    assert world.read("inferences") == []
    after = world.start()
    assert after.returncode == 0
    assert json.loads(after.stdout)["trained"] == []


def test_resolved_and_unreadable_triggers_train_nothing(world: World) -> None:
    world.deliver(trigger(world.home / "nowhere", state="RESOLVED"))
    producer = Producer({"bootstrap.servers": world.stack.bootstrap_servers})
    producer.produce(world.topic("triggers"), value=b"\0\0\0")
    assert producer.flush(SECONDS) == 0
    done = world.start()
    assert done.returncode == 0, done.stderr
    counts = {"trained": [], "known_already": 0, "not_for_training": 1, "unreadable": 1}
    assert json.loads(done.stdout) == counts
    assert world.read("lifecycle") == []


def test_a_broker_that_is_not_there_ends_with_75(world: World) -> None:
    down = world.start("--bootstrap-servers", "127.0.0.1:1")
    assert down.returncode == 75
    assert "remedy" in down.stderr
