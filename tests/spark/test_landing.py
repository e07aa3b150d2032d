"""What lands is the same however it is read, and its digest is a plain sum of hashes."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from itertools import pairwise
from random import Random

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from processor.avro import framing
from processor.batches import Partition, Range
from processor.config import KafkaConfig
from processor.kafka.sizes import USUAL_BYTES, WORTH_A_LOOK, bytes_of
from processor.kafka.source import load, read
from processor.local.stack import Stack
from processor.stages.account import Landed, landed, summed
from processor.tables import LOG

LIMIT = 30.0  # seconds
COUNTS = (2000, 7, 1)  # records of each partition
LATER = datetime(2100, 1, 1, tzinfo=UTC)
VALUE_BYTES = 900


@pytest.fixture(scope="module")
def kafka(stack: Stack) -> KafkaConfig:
    return KafkaConfig(bootstrap_servers=stack.bootstrap_servers)


@pytest.fixture(scope="module")
def topic(kafka: KafkaConfig) -> str:
    name = f"landing.{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.create_topics([NewTopic(name, len(COUNTS), 1)])[name].result(LIMIT)
    producer, rng = Producer({"bootstrap.servers": kafka.bootstrap_servers}), Random(1)
    for partition, count in enumerate(COUNTS):
        for number in range(count):
            key = None if number % 3 else rng.randbytes(5)
            value = None if number % 7 == 1 else rng.randbytes(VALUE_BYTES)
            headers: list[tuple[str, str | bytes | None]] = [("n", str(number))]
            producer.produce(name, value, key, partition, headers=headers)
    assert producer.flush(LIMIT) == 0
    return name


def ranges(topic: str) -> list[Range]:
    return [Range(topic, "", p, 0, count, 0, count) for p, count in enumerate(COUNTS)]


def tasks(frame: DataFrame) -> int:
    return frame.select(F.spark_partition_id()).distinct().count()


def account(frame: DataFrame) -> list[tuple[Partition, Landed]]:
    return sorted(landed(frame, LATER).items())


def test_rows_and_digests_do_not_depend_on_how_the_ranges_are_cut(
    spark: SparkSession, kafka: KafkaConfig, topic: str
) -> None:
    whole, cut = (load(spark, kafka, ranges(topic), limit) for limit in (2000, 300))
    assert (tasks(whole), tasks(cut)) == (3, 9)
    small = read(spark, kafka, ranges(topic))
    assert tasks(small) == 1
    first, *others = (account(frame) for frame in (whole, cut, small, cut.repartition(5)))
    assert [(one.partition, held.rows) for one, held in first] == list(enumerate(COUNTS))
    assert len({held.digest for _, held in first}) == len(COUNTS)
    assert others == [first] * 3
    assert (
        cut.where("offset = 1 and partition = 0").first()
        == small.where("offset = 1 and partition = 0").first()
    )


def test_a_digest_is_the_sum_of_the_hashes(spark: SparkSession) -> None:
    frame = spark.range(0, 5000, 1, 7).select("id", F.xxhash64("id").alias("hash"))
    hashes = [row["hash"] for row in frame.collect()]
    assert min(hashes) < 0 < max(hashes)
    cuts = [0, 1, 2, 2500, 5000]
    for low, high in pairwise(cuts):
        part = frame.where(F.col("id").between(low, high - 1))
        (found,) = part.agg(summed(F.xxhash64("id"))).collect()
        assert found[0] == str(sum(hashes[low:high]))
    (nothing,) = frame.where("false").agg(summed(F.xxhash64("id"))).collect()
    assert nothing[0] is None


def test_the_schemas_that_records_name_are_told_by_partition(spark: SparkSession) -> None:
    rng = Random(2)
    starts = (b"", framing.CONFLUENT_MAGIC, framing.SINGLE_MAGIC, bytes(3), b"{")
    header = (framing.GUID_HEADER, framing.GUID_MAGIC + uuid.uuid4().bytes)
    messages = [
        (number % 3, rng.choice(starts) + rng.randbytes(rng.randrange(12)), rng.randrange(9) == 0)
        for number in range(400)
    ]
    rows = [
        ("t", partition, offset, LATER, 0, None, value, [header] if by_header else None)
        for offset, (partition, value, by_header) in enumerate(messages)
    ]
    found = landed(spark.createDataFrame(rows, T.StructType(LOG.schema.fields[1:])), LATER)
    for partition in range(3):
        mine = [(value, [header] if by else []) for p, value, by in messages if p == partition]
        named = (framing.frame(*each).ref for each in mine)
        assert found[Partition("t", partition)].refs == {ref for ref in named if ref}
        assert found[Partition("t", partition)].rows == len(mine)


def test_the_size_of_a_batch_is_told_by_some_of_its_records(kafka: KafkaConfig, topic: str) -> None:
    few = ranges(topic)
    assert bytes_of(kafka, few) == sum(COUNTS) * USUAL_BYTES
    many = [Range(topic, "", 0, 0, WORTH_A_LOOK, 0, WORTH_A_LOOK)]
    mean = bytes_of(kafka, many) / WORTH_A_LOOK
    assert VALUE_BYTES / 2 < mean <= VALUE_BYTES
    after_the_last = [Range(topic, "", 2, 1, 1 + WORTH_A_LOOK, 0, 1)]
    assert bytes_of(kafka, after_the_last) == WORTH_A_LOOK * USUAL_BYTES
