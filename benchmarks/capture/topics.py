"""Topics of many events on a broker of our own; made once, and kept for the next time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.capture.events import Form, events, forms
from processor.config import KafkaConfig
from processor.kafka.offsets import Broker
from processor.local.broker import start_broker
from processor.local.places import cache_dir
from processor.local.service import found
from processor.simulate.topics import SETTINGS

PARTITIONS = 4
EVEN = (0.25, 0.25, 0.25, 0.25)
SKEWED = (0.9, 0.04, 0.03, 0.03)
CHUNK = 16_384  # events encoded at once
SEED = 20_250_101
QUEUE_MESSAGES = 500_000
QUEUE_KIB = 512 << 10
WAIT_SECONDS = 30.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Load:
    """A topic: how many events, and which share of them each partition has."""

    name: str
    events: int
    shares: tuple[float, ...] = EVEN

    @property
    def topic(self) -> str:
        """What the topic is called."""
        return f"bench.{self.name}.{self.events}"


@contextmanager
def broker(folder: Path, say: Say) -> Iterator[KafkaConfig]:
    """A broker while the block runs, its data kept in `folder`."""
    left = found(folder)
    if left is not None:
        left.stop()
    service = start_broker(folder, cache_dir(), say, owned=True)
    try:
        yield KafkaConfig(bootstrap_servers=f"127.0.0.1:{service.ports['client']}")
    finally:
        service.stop()


def ensure(kafka: KafkaConfig, load: Load, say: Say) -> None:
    """Fills the topic, unless it is full; one that was left half full is made anew."""
    held = _held(kafka, load)
    if held == load.events:
        return
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    if held is not None:
        admin.delete_topics([load.topic])[load.topic].result(WAIT_SECONDS)
        while _held(kafka, load) is not None:
            time.sleep(0.1)
    wanted = NewTopic(load.topic, PARTITIONS, 1, config=SETTINGS)
    admin.create_topics([wanted])[load.topic].result(WAIT_SECONDS)
    begun = time.perf_counter()
    _send(kafka, load)
    took = time.perf_counter() - begun
    say(f"{load.topic}: {load.events:,} events, {load.events / took:,.0f} a second")


def _held(kafka: KafkaConfig, load: Load) -> int | None:
    bounds = Broker(kafka).bounds([load.topic])
    return sum(each.end - each.log_start for each in bounds.values()) if bounds else None


def _send(kafka: KafkaConfig, load: Load) -> None:
    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "acks": "all",
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 50,
            "batch.size": 1 << 20,
            "queue.buffering.max.messages": QUEUE_MESSAGES,
            "queue.buffering.max.kbytes": QUEUE_KIB,
            "log_level": 0,
        }
    )
    rng, kinds = np.random.default_rng(SEED), forms()
    for first in range(0, load.events, CHUNK):
        count = min(CHUNK, load.events - first)
        _chunk(producer, load, kinds, rng, range(first, first + count))
    if left := producer.flush(WAIT_SECONDS * 4):
        raise SystemExit(f"{left} events were not delivered to {load.topic}")


def _chunk(
    producer: Producer, load: Load, kinds: list[Form], rng: np.random.Generator, which: range
) -> None:
    said: list[dict[str, Any]] = [
        {"key": each.key, "value": each.value}
        for each in events(kinds, rng, which.start, len(which))
    ]
    rng.shuffle(said)
    for partition, part in enumerate(_parts(said, load.shares)):
        _queue(producer, load.topic, part, partition)
    producer.poll(0)


def _parts(said: list[dict[str, Any]], shares: Sequence[float]) -> Iterator[list[dict[str, Any]]]:
    cuts = np.round(np.cumsum([0.0, *shares]) * len(said)).astype(int)
    for start, end in pairwise(cuts):
        yield said[start:end]


def _queue(producer: Producer, topic: str, said: list[dict[str, Any]], partition: int) -> None:
    """Hands over messages; those for which there is no room yet are offered again."""
    while said:
        producer.produce_batch(topic, said, partition=partition)
        said = [each for each in said if each.pop("_error", None) is not None]
        if said:
            producer.poll(0.1)
