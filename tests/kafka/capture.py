"""Batches that are planned, landed and proven in this process, on topics of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from pyspark.sql import DataFrame, SparkSession

from processor.batches import Batch, Bounds, Partition
from processor.config import Config, load
from processor.kafka.offsets import Broker
from processor.local.stack import Stack
from processor.resources import resource
from processor.stages import snapshot, validate
from processor.stages.base import NOTHING_ACCEPTED, Accepted, Context, Request
from processor.stages.cut import Nothing
from processor.stages.pipeline import STAGES, next_batch, plan
from processor.stages.verify import Verified, verify
from processor.table import Table
from processor.tables import LOG, LOSSES, PROOFS
from processor.warehouse import Warehouse
from tests.kafka.reader import messages
from tests.kafka.test_offsets import send

LIMIT, WAIT = 30.0, 60.0  # seconds
COORDINATES = ("topic", "partition", "offset")
Record = tuple[str, int, int, bytes | None, bytes | None]
"""Topic, partition, offset, key and value."""
Held = dict[Partition, Bounds]
"""What a broker says that it holds."""


def lagging_at_first(monkeypatch: pytest.MonkeyPatch, lag: Callable[[Held], Held]) -> list[Held]:
    """The broker's first answer is what `lag` makes of it; returned are all, as they were."""
    truly, found = Broker.bounds, list[Held]()

    def bounds(broker: Broker, topics: Iterable[str]) -> Held:
        found.append(truly(broker, topics))
        return found[-1] if len(found) > 1 else lag(found[-1])

    monkeypatch.setattr(Broker, "bounds", bounds)
    return found


def unknown(_held: Held) -> Held:
    """What a broker may say that was just started."""
    return {}


class Between(Warehouse):
    """A warehouse that lets something happen to Kafka before or after a frame is computed."""

    def __init__(self, root: str, before: Callable[[], None], *, computed: bool) -> None:
        super().__init__(root)
        self._happens: list[Callable[[], None]] = [before]
        self._computed = computed

    def append_frame(self, frame: DataFrame, table: Table, writer: str, batch_id: int) -> bool:
        if self._happens:
            if self._computed:
                frame = frame.localCheckpoint()
            self._happens.pop()()
        return super().append_frame(frame, table, writer, batch_id)


@dataclass
class Capture:
    """One warehouse over some topics; `topics` are read as inferences and feedback.

    `flags` are set over all that is configured.
    """

    spark: SparkSession
    stack: Stack
    home: Path
    topics: tuple[str, str]
    flags: tuple[str, ...] = ()
    said: list[str] = field(default_factory=list)

    @property
    def config(self) -> Config:
        flags = (
            f"warehouse={self.home}",
            f"kafka.bootstrap_servers={self.stack.bootstrap_servers}",
            f"registry.url={self.stack.registry_url}",
            f"loops={resource('conf', 'loops')}",
            f"topics.inferences={self.topics[0]}",
            f"topics.feedback={self.topics[1]}",
            *self.flags,
        )
        return load(None, flags, {})

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(str(self.home))

    def elsewhere(self, home: Path) -> Capture:
        """The same topics, into another warehouse."""
        return replace(self, home=home)

    def planned(self, *, accept_new_topic: bool = False) -> Batch | None:
        """Plans the next batch, as a run does, and writes it down."""
        config = self.config
        request = Request(accepted=Accepted(new_topic=accept_new_topic))
        found = next_batch(config, self.warehouse, "run", request)
        if isinstance(found, Nothing):
            return None
        if not found.stored:
            plan(self.warehouse, found.batch)
        return found.batch

    def land(
        self,
        batch: Batch,
        accepted: Accepted = NOTHING_ACCEPTED,
        warehouse: Warehouse | None = None,
    ) -> None:
        """Lands, proves and decodes the batch; if nothing stops it, it counts as finished."""
        place = warehouse or self.warehouse
        context = Context(self.config, place, "run", lambda: self.spark, self.said.append, accepted)
        snapshot.run(context, batch)
        validate.STAGE.perform(context, batch)
        for stage in STAGES:
            for table in stage.writes:
                place.append_once(table, [], stage.writer(table), batch.id)

    def rows(self, table: Table) -> list[dict[str, Any]]:
        found: pa.Table = self.warehouse.rows(table)
        names = (*(n for n in ("batch_id", *COORDINATES, "end_offset") if n in found.column_names),)
        listed: list[dict[str, Any]] = found.to_pylist()
        return sorted(listed, key=lambda row: tuple(row[name] for name in names))

    def log(self, batch: int | None = None) -> list[Record]:
        return [
            (row["topic"], row["partition"], row["offset"], row["key"], row["value"])
            for row in self.rows(LOG)
            if batch in (None, row["batch_id"])
        ]

    def proof(self, batch: int, partition: int = 0, topic: int = 0) -> dict[str, int]:
        """What accounts for a range, without what is none."""
        names = ("landed", "control", "aborted", "compacted", "lost")
        (row,) = (
            r
            for r in self.rows(PROOFS)
            if (r["batch_id"], r["topic"], r["partition"]) == (batch, self.topics[topic], partition)
        )
        assert row["expected"] == sum(row[name] for name in names)
        return {name: row[name] for name in names if row[name]}

    def digests(self) -> list[tuple[Any, ...]]:
        names = ("batch_id", "topic", "partition", "landed", "digest")
        return sorted(tuple(row[name] for name in names) for row in self.rows(PROOFS))

    def losses(self) -> list[tuple[int, int, int]]:
        """Batch, and first and last offset but one, of what was found lost."""
        names = ("batch_id", "start_offset", "end_offset")
        return [(row[names[0]], row[names[1]], row[names[2]]) for row in self.rows(LOSSES)]

    def verified(self, *, kafka: bool = False) -> Verified:
        return verify(self.config, self.warehouse, lambda: self.spark, kafka=kafka)

    def delete_before(self, offset: int, partition: int = 0) -> None:
        """Retention, made to happen: records before `offset` of the first topic are gone."""
        admin = AdminClient({"bootstrap.servers": self.stack.bootstrap_servers})
        (done,) = admin.delete_records([TopicPartition(self.topics[0], partition, offset)]).values()
        done.result(LIMIT)


def consumed(stack: Stack, topic: str, partition: int = 0, start: int = 0) -> list[Record]:
    """What a plain consumer of committed records gets, from an offset to the end."""
    found: list[Record] = []
    for message in messages(stack.bootstrap_servers, TopicPartition(topic, partition, start)):
        place = (message.topic() or "", message.partition() or 0, message.offset() or 0)
        key, value = message.key(), message.value()
        assert not isinstance(key, str)
        assert not isinstance(value, str)
        found.append((*place, key, value))
    return found


def until(condition: Callable[[], bool], what: str) -> None:
    """Waits until it is so; fails, saying what is not, after WAIT."""
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, what


def planned(capture: Capture, producer: Producer, records: int) -> Batch:
    """The plan of the next batch, to which so many records came in the first topic."""
    send(producer, capture.topics[0], records)
    batch = capture.planned()
    assert batch is not None
    return batch


def taken(capture: Capture) -> int:
    """Takes the next batch."""
    batch = capture.planned()
    assert batch is not None
    capture.land(batch)
    return batch.id


Made = Callable[..., Capture]
"""Makes a warehouse over two new topics; the first as asked for, the second empty."""
