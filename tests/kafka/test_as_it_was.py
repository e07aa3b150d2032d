"""Whatever a record holds, the log has it as a plain consumer reads it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, TopicPartition
from pyspark.sql import SparkSession

from processor.avro import defects
from processor.local.stack import Stack
from processor.stages.pipeline import stage
from tests.kafka.lab import HOUR, T0, Lab, Record
from tests.kafka.reader import messages

CREATED, APPENDED = 0, 1  # Kafka's own numbers of the two timestamp types
KEYS = (None, b"", b"\x00", b"\xff\xfe", "Grüße".encode(), b"k" * 1000)
HEADERS = (
    (),
    (("a", None),),
    (("a", b""), ("a", b"\x00\xff"), ("b", None), ("a", b"")),
    (("", b"no name"), ("ä", "ö".encode())),
    (("__value_schema_id", b"\x01too short"),),
)
VALUES = (None, b"", b"\x00", b"text", b"\xff" * 2000)


class Read(NamedTuple):
    """A record as a consumer has it."""

    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def records() -> list[Record]:
    """Every key with every kind of headers and value, at times of their own."""
    made = [(key, headers, value) for key in KEYS for headers in HEADERS for value in VALUES]
    return [
        Record(value, key, headers, T0 + n * HOUR + timedelta(milliseconds=n))
        for n, (key, headers, value) in enumerate(made)
    ]


@pytest.fixture(scope="module")
def lab(stack: Stack, spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    home = tmp_path_factory.mktemp("as it was")
    settings = {"registry": {"url": None}}
    lab = Lab(spark_session, stack.bootstrap_servers, None, home, settings=settings)
    lab.create(feedback={"message.timestamp.type": "LogAppendTime"})
    for table in ("inferences", "feedback"):
        lab.send(table, records())
    assert lab.run(only=[stage("snapshot"), stage("validate")]) is not None
    return lab


def consumed(lab: Lab, topic: str) -> list[Read]:
    """Everything that a plain consumer reads of the first partition."""
    found: list[Read] = []
    for message in messages(lab.kafka, TopicPartition(topic, 0, 0)):
        kind, stamp = message.timestamp()
        told: Any = message
        found.append(
            Read(
                *(told.partition(), told.offset(), stamp),
                APPENDED if kind == TIMESTAMP_LOG_APPEND_TIME else CREATED,
                *(told.key(), told.value(), tuple(told.headers() or ())),
            )
        )
    return found


def logged(lab: Lab, topic: str) -> list[Read]:
    rows = [row for row in lab.rows("log") if row["topic"] == topic]
    return [
        Read(
            *(row["partition"], row["offset"]),
            round(row["timestamp"].timestamp() * 1000),
            *(row["timestamp_type"], row["key"], row["value"]),
            tuple((h["key"], h["value"]) for h in row["headers"] or ()),
        )
        for row in sorted(rows, key=lambda row: row["offset"])
    ]


@pytest.mark.parametrize(("table", "kind"), [("inferences", CREATED), ("feedback", APPENDED)])
def test_the_log_has_what_a_plain_consumer_reads(lab: Lab, table: str, kind: int) -> None:
    found = logged(lab, lab.topic(table))
    assert found == consumed(lab, lab.topic(table))
    assert [(r.key, r.headers, r.value) for r in found] == [
        (r.key, r.headers, r.value) for r in records()
    ]
    assert {each.timestamp_type for each in found} == {kind}


def test_times_of_the_producer_are_kept_to_the_millisecond(lab: Lab) -> None:
    told = [each.timestamp for each in logged(lab, lab.topic("inferences"))]
    assert told == [round(each.at.timestamp() * 1000) for each in records()]


def test_tombstones_are_typed_rows_with_that_defect(lab: Lab) -> None:
    nulls = sum(1 for each in records() if each.value is None)
    for table in ("inferences", "feedback"):
        rows = lab.rows(table)
        assert len(rows) == len(records())
        codes = [defect["code"] for row in rows for defect in row["defects"]]
        assert codes.count(defects.TOMBSTONE) == nulls


def test_empty_topics_have_ranges_and_proofs_and_no_rows(lab: Lab, tmp_path: Path) -> None:
    empty = {lab.topic(t) for t in ("sessions", "feature_sets", "ground_truth", "erasures")}
    for table in ("batches", "proofs"):
        mine = [row for row in lab.rows(table) if row["topic"] in empty]
        assert len(mine) == 2 * len(empty)
    assert all(row["expected"] == row["landed"] == 0 for row in mine)
    for table in ("sessions", "feature_sets", "ground_truth", "erasures"):
        assert lab.rows(table) == []
