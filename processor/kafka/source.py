"""Reading a batch's ranges with Spark: explicit numbers at both ends, never `latest`."""

from __future__ import annotations

import json
from collections.abc import Iterable

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from processor.batches import Range
from processor.config import KafkaConfig
from processor.kafka.security import java

FETCH = {
    "max.partition.fetch.bytes": str(16 << 20),
    "fetch.max.bytes": str(64 << 20),
    "max.poll.records": "20000",
}
"""Sizes in bytes and records that let the consumer read at the disk's pace."""


COMMITTED, UNCOMMITTED = "read_committed", "read_uncommitted"


def read(
    spark: SparkSession,
    config: KafkaConfig,
    ranges: Iterable[Range],
    isolation: str = COMMITTED,
) -> DataFrame:
    """Every record of `ranges`, as it was: one row a record, headers kept.

    With `UNCOMMITTED` isolation, those of aborted transactions too.

    Columns: topic, partition, offset, timestamp, timestamp_type, key, value, headers.
    Records that are gone fail the read; they are never skipped.
    """
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
        },
    )
    return reader.load().withColumn("timestamp_type", F.col("timestampType")).drop("timestampType")
