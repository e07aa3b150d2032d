"""The account of a batch: what the log holds of each range, and what explains the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import reduce
from operator import or_
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from processor.avro.decode import framed
from processor.avro.framing import SchemaRef
from processor.batches import Batch, Partition, Proof, Range, left_of
from processor.kafka.offsets import Broker
from processor.kafka.source import COMMITTED, UNCOMMITTED, read
from processor.stages.base import Context
from processor.tables import COORDINATES


class Landed(NamedTuple):
    """What the log holds of one range; `refs` are the writer schemas that its records name."""

    rows: int
    digest: str
    latest: datetime | None = None
    refs: frozenset[SchemaRef] = frozenset()


NOTHING = Landed(0, "0")
ANY_SIZE = (1 << 31) - 1  # bytes: limits may change before the batch is decoded
LOW_HALF = (1 << 32) - 1  # the lower bits of a hash


class Holes(NamedTuple):
    """Offsets of a range without a row in the log.

    `aborted` are data that a reader of committed records never gets; `unseen` no reader gets.
    """

    aborted: int
    unseen: int


def part(each: Range) -> Partition:
    """The partition of a range."""
    return Partition(each.topic, each.partition)


def digest() -> Column:
    """A digest of a set of records that does not depend on their order: a sum of their hashes.

    What is null is hashed as such: alone, `xxhash64` passes over nulls.
    """
    headers = F.transform("headers", lambda h: F.struct(h["key"], h["value"].isNull(), h["value"]))
    nullable = [c for name in ("key", "value") for c in (F.col(name).isNull(), F.col(name))]
    return summed(F.xxhash64(*COORDINATES, "timestamp", "timestamp_type", *nullable, headers))


def places() -> Column:
    """A digest of where a set of records stands, whatever else is known of them."""
    return summed(F.xxhash64(*COORDINATES))


def summed(hashed: Column) -> Column:
    """The sum of hashes, as text.

    Their halves are summed as longs, which is many times faster than decimals; those hold the sum
    of 2 ** 31 hashes, and one too many fails.
    """
    high, low = F.shiftright(hashed, 32), hashed.bitwiseAND(F.lit(LOW_HALF))
    whole = F.sum(high).cast("decimal(38,0)") * F.lit(LOW_HALF + 1).cast("decimal(11,0)")
    return (whole + F.sum(low)).cast("decimal(38,0)").cast("string")


def landed(log: DataFrame, not_later_than: datetime) -> dict[Partition, Landed]:
    """What a log holds by partition, in one pass; `latest` ignores stamps beyond a limit."""
    believable = F.when(F.col("timestamp") <= F.lit(not_later_than), F.col("timestamp"))
    by_schema = framed(log, ANY_SIZE).groupBy("topic", "partition", "lead")
    rows = by_schema.agg(
        F.count(F.lit(1)).alias("rows"),
        digest().alias("digest"),
        F.max(believable).alias("latest"),
    ).collect()
    groups: dict[Partition, list[Row]] = {}
    for row in rows:
        groups.setdefault(Partition(row["topic"], row["partition"]), []).append(row)
    return {one: _whole(group) for one, group in groups.items()}


def _whole(groups: Iterable[Row]) -> Landed:
    """A partition of its groups, one for each schema: digests are sums, and so add up."""
    listed = list(groups)
    stamps = [row["latest"].astimezone() for row in listed if row["latest"]]
    return Landed(
        sum(row["rows"] for row in listed),
        str(sum(int(row["digest"]) for row in listed)),
        max(stamps, default=None),
        frozenset(SchemaRef.of(bytes(row["lead"])) for row in listed if row["lead"]),
    )


def within(ranges: Iterable[Range]) -> Column:
    """Whether a row stands in one of the ranges."""
    tests = (
        (F.col("topic") == each.topic)
        & (F.col("partition") == each.partition)
        & F.col("offset").between(each.start, each.end - 1)
        for each in ranges
    )
    return reduce(or_, tests, F.lit(False))


def accounts(
    context: Context,
    batch: Batch,
    found: Mapping[Partition, Landed],
    lost: Mapping[Partition, int],
) -> list[Proof]:
    """The proof of every range; Kafka is read again only where a range has holes."""
    plain = [
        Proof(each, found.get(part(each), NOTHING).rows, lost=lost.get(part(each), 0))
        for each in batch.ranges
    ]
    holed = [proof.range for proof in plain if proof.unexplained > 0]
    if not holed:
        return plain
    context.say(f"looking into the holes of {len(holed)} ranges")
    broker = Broker(context.config.kafka)
    compacted = {each.topic: broker.compacted(each.topic) for each in holed}
    holes = _holes(context, batch, broker, holed)
    return [_explained(p, holes.get(part(p.range)), compacted.get(p.range.topic)) for p in plain]


def _explained(proof: Proof, holes: Holes | None, compacted: bool | None) -> Proof:  # noqa: FBT001  # a fact of its topic
    """What no reader gets is a control record, or on a compacted topic what was superseded."""
    if holes is None:
        return proof
    kind = "compacted" if compacted else "control"
    causes = {"aborted": holes.aborted, kind: holes.unseen}
    return Proof(proof.range, proof.landed, lost=proof.lost, **causes)


def _holes(
    context: Context, batch: Batch, broker: Broker, holed: Sequence[Range]
) -> dict[Partition, Holes]:
    """Reads the ranges again, aborted transactions too, and looks at what the log does not have.

    A committed record among that is missing from the log; nothing explains it. Nor does anything
    explain a hole that retention has reached since.
    """
    now = broker.bounds({each.topic for each in holed})
    readable = [left for each in holed if (left := left_of(each, now.get(part(each)))).expected]
    if not readable:
        return {}
    log = context.landed(batch, [batch.id]).select(*COORDINATES)

    def beyond(isolation: str) -> dict[Partition, int]:
        again = read(context.spark, context.config.kafka, readable, isolation)
        return _counted(again.select(*COORDINATES).join(log, list(COORDINATES), "left_anti"))

    have, unread = _counted(log.where(within(readable))), beyond(UNCOMMITTED)
    missing = beyond(COMMITTED) if unread else {}
    return {
        part(each): Holes(
            unread.get(part(each), 0) - missing.get(part(each), 0),
            each.expected - have.get(part(each), 0) - unread.get(part(each), 0),
        )
        for each in readable
    }


def _counted(rows: DataFrame) -> dict[Partition, int]:
    counts = rows.groupBy("topic", "partition").count().collect()
    return {Partition(row["topic"], row["partition"]): row["count"] for row in counts}
