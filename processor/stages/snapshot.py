"""snapshot: the batch's ranges, as they are on Kafka, into the log; then the proof."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from processor.batches import Batch, Partition, Proof, Range, settle, watermark
from processor.kafka.offsets import Broker
from processor.kafka.source import read
from processor.stages.base import Context, Stage, Writes, watermarks
from processor.tables import BATCHES, LOG, PROOFS


class Landed(NamedTuple):
    """What the log holds of one range."""

    rows: int
    digest: str
    latest: datetime | None


NOTHING = Landed(0, "0", None)


def run(context: Context, batch: Batch) -> None:
    """Lands the batch in one commit, and accounts for every offset of it.

    Raises:
        LossDetected: an account does not add up.
    """
    writes = Writes("snapshot", context, batch)
    ranges = [each for each in batch.ranges if each.expected]
    if not ranges:
        writes.rows(LOG)
    elif writes.pending(LOG):
        context.say(f"landing {batch.expected:,} offsets of {len(ranges)} partitions")
        frame = read(context.spark, context.config.kafka, ranges)
        writes.frame(LOG, frame.withColumn("batch_id", F.lit(batch.id)))
    if writes.pending(PROOFS):
        writes.rows(PROOFS, _proof_rows(context, batch))


def digest(*columns: Column) -> Column:
    """A digest of a set of rows that does not depend on their order: a sum of their hashes."""
    return F.sum(F.xxhash64(*columns).cast("decimal(38,0)")).cast("string")


def landed(log: DataFrame, not_later_than: datetime) -> DataFrame:
    """What the log holds by topic and partition; `latest` ignores stamps beyond a limit."""
    believable = F.when(F.col("timestamp") <= F.lit(not_later_than), F.col("timestamp"))
    record = ("topic", "partition", "offset", "timestamp", "timestamp_type", "key", "value")
    return log.groupBy("topic", "partition").agg(
        F.count(F.lit(1)).alias("rows"),
        digest(*(F.col(name) for name in record), F.col("headers")).alias("digest"),
        F.max(believable).alias("latest"),
    )


def _landed(context: Context, batch: Batch) -> dict[Partition, Landed]:
    if not batch.expected:
        return {}
    log = context.frame(LOG, batch).where(F.col("batch_id") == batch.id)
    limit = batch.planned_at + context.config.batch.watermark_tolerance
    return {
        Partition(row["topic"], row["partition"]): Landed(
            row["rows"], row["digest"], row["latest"] and row["latest"].astimezone()
        )
        for row in landed(log, limit).collect()
    }


def _proof_rows(context: Context, batch: Batch) -> list[Mapping[str, Any]]:
    found = _landed(context, batch)
    proofs = settle(
        _account(context, each, found.get(Partition(each.topic, each.partition), NOTHING).rows)
        for each in batch.ranges
    )
    earlier = watermarks(context)
    reached = watermark(
        max((stamp for n, stamp in earlier.items() if n < batch.id), default=None),
        [each.latest for each in found.values() if each.latest],
        batch.planned_at,
        context.config.batch.watermark_tolerance,
        batch.cut_time,
    )
    return [
        {
            "batch_id": batch.id,
            "topic": proof.range.topic,
            "partition": proof.range.partition,
            "expected": proof.range.expected,
            "landed": proof.landed,
            "control": proof.control,
            "aborted": proof.aborted,
            "compacted": proof.compacted,
            "lost": proof.lost,
            "digest": found.get(
                Partition(proof.range.topic, proof.range.partition), NOTHING
            ).digest,
            "watermark": reached,
        }
        for proof in proofs
    ]


def _account(context: Context, each: Range, rows: int) -> Proof:
    """Explains the holes of a range: the broker is asked only where there are any.

    A reader that sees aborted transactions too tells those from the rest; what even it does not
    see are control records, or on a compacted topic records that were superseded.
    """
    holes = each.expected - rows
    if holes <= 0:
        return Proof(each, rows)
    broker = Broker(context.config.kafka)
    aborted = broker.count_uncommitted(each) - rows
    unseen = holes - aborted
    if broker.compacted(each.topic):
        return Proof(each, rows, aborted=aborted, compacted=unseen)
    return Proof(each, rows, aborted=aborted, control=unseen)


STAGE = Stage("snapshot", "land the ranges, prove them complete", (BATCHES,), (LOG, PROOFS), run)
