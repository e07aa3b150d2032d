"""Reading a batch's ranges with Spark: explicit numbers at both ends, never `latest`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from processor.batches import Range
from processor.config import KafkaConfig
from processor.kafka.pieces import SMALL_BATCH_BYTES, piece
from processor.kafka.security import java
from processor.kafka.sizes import bytes_of

FETCH = {
    "max.partition.fetch.bytes": str(16 << 20),
    "fetch.max.bytes": str(64 << 20),
    "max.poll.records": "20000",
    "fetch.max.wait.ms": "10",
}
"""Sizes in bytes and records that let the consumer read at the disk's pace; and no waiting for
more to come, in milliseconds: a range ends where it ends."""

COMMITTED, UNCOMMITTED = "read_committed", "read_uncommitted"


def read(
    spark: SparkSession,
    config: KafkaConfig,
    ranges: Sequence[Range],
    isolation: str = COMMITTED,
) -> DataFrame:
    """Every record of `ranges`, as it was: one row a record, headers kept.

    With `UNCOMMITTED` isolation, those of aborted transactions too.

    Columns: topic, partition, offset, timestamp, timestamp_type, key, value, headers.
    Records that are gone fail the read; they are never skipped. How the ranges are cut into
    tasks follows from bytes and cores; the rows do not depend on it.
    """
    size = bytes_of(config, ranges)
    limit = piece([each.expected for each in ranges], size, spark.sparkContext.defaultParallelism)
    frame = load(spark, config, ranges, limit, isolation)
    return frame.coalesce(1) if size < SMALL_BATCH_BYTES else frame


def load(
    spark: SparkSession,
    config: KafkaConfig,
    ranges: Iterable[Range],
    limit: int,
    isolation: str = COMMITTED,
) -> DataFrame:
    """As `read`, with at most `limit` offsets a task."""
    starts: dict[str, dict[str, int]] = {}
    ends: dict[str, dict[str, int]] = {}
    for each in ranges:
        starts.setdefault(each.topic, {})[str(each.partition)] = each.start
        ends.setdefault(each.topic, {})[str(each.partition)] = each.end
    reader = spark.read.format("kafka").options(
        **{f"kafka.{key}": value for key, value in {**java(config), **FETCH}.items()},
        **{
            "kafka.isolation.level": isolation,
            "assign": json.dumps({topic: sorted(map(int, of)) for topic, of in starts.items()}),
            "startingOffsets": json.dumps(starts),
            "endingOffsets": json.dumps(ends),
            "includeHeaders": "true",
            "failOnDataLoss": "true",
            "maxRecordsPerPartition": str(limit),
        },
    )
    return reader.load().withColumn("timestamp_type", F.col("timestampType")).drop("timestampType")
