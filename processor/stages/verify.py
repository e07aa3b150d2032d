"""Whether the tables still say what was proven of them, and whether Kafka says the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from processor.batches import Partition, Range, broken_chain, left_of
from processor.config import Config
from processor.kafka.offsets import Broker
from processor.kafka.source import read
from processor.stages import snapshot, validate
from processor.stages.account import digest, part, within
from processor.stages.base import Stage
from processor.stages.pipeline import planned_ranges
from processor.stages.typed import FIRST_ATTEMPT
from processor.tables import LOG, PROOFS, TYPED
from processor.warehouse import Warehouse


class Finding(NamedTuple):
    """Something that is not as it was proven; `batch` is None where all of them are meant."""

    batch: int | None
    topic: str
    partition: int
    what: str


@dataclass(frozen=True)
class Verified:
    """What was looked at, and what was found; `compared` are rows that Kafka still holds too."""

    batches: int
    ranges: int
    rows: int
    compared: int | None
    findings: tuple[Finding, ...]


class Held(NamedTuple):
    """What a table holds of one range; `places` is the sum of its offsets."""

    rows: int
    places: int
    digest: str = ""
    distinct: int = 0
    first: int = 0
    last: int = 0


Key = tuple[int, Partition]


def verify(
    config: Config, warehouse: Warehouse, spark: SparkSession, *, kafka: bool = False
) -> Verified:
    """Recomputes every count and digest from the tables alone; with `kafka`, from the topics too.

    Raises:
        Unavailable: the broker is asked, and does not answer.
    """
    planned = planned_ranges(warehouse)
    proofs = {_key(row): row for row in warehouse.rows(PROOFS).to_pylist()}
    log = warehouse.frame(spark, LOG)
    held = _held(log)
    last = max((batch for batch, _ in planned), default=0)
    findings = [
        *_chain(planned),
        *_against_proofs(planned, proofs, held, _done(warehouse, snapshot.STAGE, last)),
        *_against_log(_typed(warehouse, spark), held, _done(warehouse, validate.STAGE, last)),
    ]
    compared, differing = _against_kafka(config, spark, log, planned) if kafka else (None, [])
    return Verified(
        batches=len({batch for batch, _ in planned}),
        ranges=len(planned),
        rows=sum(each.rows for each in held.values()),
        compared=compared,
        findings=(*findings, *differing),
    )


def _key(row: Mapping[str, Any]) -> Key:
    return row["batch_id"], Partition(row["topic"], row["partition"])


def _chain(planned: Iterable[tuple[int, Range]]) -> Iterator[Finding]:
    listed = list(planned)
    batch_of = {(each.topic_id, part(each), each.start): batch for batch, each in listed}
    for each, what in broken_chain(each for _, each in listed):
        batch = batch_of[each.topic_id, part(each), each.start]
        yield Finding(batch, each.topic, each.partition, what)


def _done(warehouse: Warehouse, stage: Stage, last: int) -> int:
    """The batch up to which a stage has said all: each is finished before the next is planned."""
    return last if stage.done(warehouse, last) else last - 1


def _held(log: DataFrame) -> dict[Key, Held]:
    offset = F.col("offset")
    rows = log.groupBy("batch_id", "topic", "partition").agg(
        F.count(F.lit(1)).alias("rows"),
        F.sum(offset).alias("places"),
        digest().alias("digest"),
        F.count_distinct("offset").alias("distinct"),
        F.min(offset).alias("first"),
        F.max(offset).alias("last"),
    )
    return {_key(row.asDict()): Held(*(row[n] for n in Held._fields)) for row in rows.collect()}


def _typed(warehouse: Warehouse, spark: SparkSession) -> dict[Key, Held]:
    """First attempts, by the batch that landed them."""
    found: dict[Key, Held] = {}
    origin = F.col("origin")
    for table in filter(warehouse.has_rows, TYPED.values()):
        rows = (
            warehouse.frame(spark, table)
            .where(F.col("attempt") == FIRST_ATTEMPT)
            .groupBy(*(origin[n].alias(n) for n in ("batch_id", "topic", "partition")))
            .agg(F.count(F.lit(1)).alias("rows"), F.sum(origin["offset"]).alias("places"))
        )
        found |= {_key(row.asDict()): Held(row["rows"], row["places"]) for row in rows.collect()}
    return found


def _against_proofs(
    planned: Iterable[tuple[int, Range]],
    proofs: Mapping[Key, Mapping[str, Any]],
    held: Mapping[Key, Held],
    proven: int,
) -> Iterator[Finding]:
    """Each range, its proof and its rows; batches after `proven` are not judged."""
    for batch, each in planned:
        if batch <= proven:
            proof = proofs.get((batch, part(each)))
            for what in _differences(each, proof, held.get((batch, part(each)), _NOTHING)):
                yield Finding(batch, each.topic, each.partition, what)
    for batch, partition in sorted(held.keys() - {(b, part(r)) for b, r in planned}):
        yield Finding(batch, *partition, "the log has rows that no batch has planned")


def _differences(each: Range, proof: Mapping[str, Any] | None, held: Held) -> Iterator[str]:
    if proof is None:
        yield "its proof is gone"
        return
    names = ("landed", "control", "aborted", "compacted", "lost")
    if each.expected != sum(proof[name] for name in names):
        yield f"the proof does not add up to {each.expected} offsets"
    if held.rows != proof["landed"]:
        yield f"the log has {held.rows} rows, the proof says {proof['landed']}"
    elif held.digest != proof["digest"]:
        yield f"the log's digest is {held.digest}, the proof says {proof['digest']}"
    if held.distinct != held.rows:
        yield f"{held.rows - held.distinct} offsets are in the log more than once"
    if held.rows and not (each.start <= held.first and held.last < each.end):
        yield f"the log has offsets {held.first} to {held.last}, outside [{each.start}, {each.end})"


def _against_log(
    typed: Mapping[Key, Held], log: Mapping[Key, Held], decoded: int
) -> Iterator[Finding]:
    """Each log row is one typed row; batches after `decoded` are not judged."""
    for batch, partition in sorted(typed.keys() | log.keys()):
        theirs, ours = (side.get((batch, partition), _NOTHING) for side in (typed, log))
        if batch <= decoded and (theirs.rows, theirs.places) != (ours.rows, ours.places):
            what = f"{theirs.rows} typed rows stand for {ours.rows} rows of the log"
            yield Finding(batch, *partition, what)


def _against_kafka(
    config: Config, spark: SparkSession, log: DataFrame, planned: list[tuple[int, Range]]
) -> tuple[int, list[Finding]]:
    """What Kafka still holds of all batches, record by record, against the log."""
    now = Broker(config.kafka).bounds({each.topic for _, each in planned})
    spans = [left_of(each, now.get(part(each))) for each in _spans(planned)]
    readable = [each for each in spans if each.expected]
    if not readable:
        return 0, []
    since = {each.topic_id: batch for batch, each in reversed(planned)}
    epoch = F.coalesce(
        *(F.when(F.col("topic") == r.topic, F.lit(since[r.topic_id])) for r in readable)
    )
    ours = _totals(log.where(within(readable) & (F.col("batch_id") >= epoch)))
    theirs = _totals(read(spark, config.kafka, readable))
    differing = [
        Finding(None, *one, f"Kafka's records in [{each.start}, {each.end}) are not the log's")
        for each in readable
        if ours.get(one := part(each)) != theirs.get(one)
    ]
    return sum(each.rows for each in theirs.values()), differing


def _spans(planned: Iterable[tuple[int, Range]]) -> list[Range]:
    """For each partition of each epoch, everything from its first batch to its last, as one."""
    spans: dict[tuple[str, Partition], Range] = {}
    for _, each in planned:
        first = spans.setdefault((each.topic_id, part(each)), each)
        spans[each.topic_id, part(each)] = first.until(each.end)
    return list(spans.values())


def _totals(rows: DataFrame) -> dict[Partition, Held]:
    totals = rows.groupBy("topic", "partition").agg(
        F.count(F.lit(1)).alias("rows"), F.sum("offset").alias("places"), digest().alias("digest")
    )
    return {
        Partition(row["topic"], row["partition"]): Held(row["rows"], row["places"], row["digest"])
        for row in totals.collect()
    }


_NOTHING = Held(0, 0, "0")
