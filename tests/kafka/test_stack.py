"""`bfp local`: both services up, down and up again with their data, whatever happened between."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from processor.config import Topics

LIMIT = 120.0  # seconds
SUBJECT, TOPIC = "kept-value", "kept"


@dataclass(frozen=True)
class Local:
    """`bfp local` on a folder of its own."""

    home: Path

    def __call__(self, word: str) -> Any:  # noqa: ANN401  # JSON
        done = subprocess.run(
            [sys.executable, "-m", "processor", "local", word, "--home", self.home, "--json"],
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def processes(self) -> list[psutil.Process]:
        """Whatever runs with this folder among its words."""
        found = []
        for each in psutil.process_iter(["cmdline"]):
            words = each.info["cmdline"] or []
            if any(str(self.home) in word for word in words) and each.pid != os.getpid():
                found.append(each)
        return found

    def pid(self, name: str) -> int:
        found: int = self("status")[name]["pid"]
        return found


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    made = Local(tmp_path / "a home")
    yield made
    made("down")
    assert made.processes() == []


def produce(servers: str, value: bytes) -> None:
    """Sends to a topic that nobody made before."""
    producer = Producer({"bootstrap.servers": servers})
    producer.produce(TOPIC, value=value, partition=0)
    assert producer.flush(LIMIT) == 0


def topics(servers: str) -> set[str]:
    return set(AdminClient({"bootstrap.servers": servers}).list_topics(timeout=LIMIT).topics)


def first_record(servers: str) -> bytes | None:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": uuid.uuid4().hex})
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    message = consumer.poll(LIMIT)
    consumer.close()
    assert message is not None
    assert message.error() is None
    return message.value()


def ended(pid: int) -> bool:
    until = time.monotonic() + LIMIT
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > until:
            return False
    return True


def test_data_stay_through_a_stop_a_kill_and_a_port_that_was_taken(local: Local) -> None:
    assert [one["running"] for one in local("status").values()] == [False, False]
    first = local("up")
    assert local("up") == first, "what runs stays"
    assert topics(first["bootstrap_servers"]) >= {*Topics().by_topic()}
    produce(first["bootstrap_servers"], b"kept")
    registry = SchemaRegistryClient({"url": first["registry_url"]})
    ident = registry.register_schema(SUBJECT, Schema('{"type": "string"}', "AVRO"))
    broker = local.pid("kafka")

    os.kill(broker, signal.SIGKILL)
    assert ended(broker)
    told = local("status")
    assert [told[name]["running"] for name in ("kafka", "registry")] == [False, True]
    mended = local("up")
    assert mended == first, "it comes back where it was"
    assert local.pid("kafka") != broker
    assert first_record(mended["bootstrap_servers"]) == b"kept"

    assert sorted(local("down")["stopped"]) == ["kafka", "registry"]
    assert local("down")["stopped"] == []
    assert local.processes() == []

    host, port = first["bootstrap_servers"].split(":")
    with socket.create_server((host, int(port))):
        moved = local("up")
        assert moved["bootstrap_servers"] != first["bootstrap_servers"]
        assert first_record(moved["bootstrap_servers"]) == b"kept"
        again = SchemaRegistryClient({"url": moved["registry_url"]})
        assert json.loads(again.get_schema(ident).schema_str or "") == {"type": "string"}
