"""Whether the tables still say what was proven of them, and whether Kafka says the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from processor.batches import Partition, Range, broken_chain, left_of
from processor.config import Config
from processor.errors import Damaged, LossDetected
from processor.faults import explained
from processor.kafka.offsets import Broker
from processor.kafka.source import read
from processor.stages import snapshot, validate
from processor.stages.account import digest, part, places, within
from processor.stages.pipeline import (
    Written,
    last_planned,
    planned_ranges,
    refuse_unplanned,
    written,
)
from processor.stages.progress import behind, past
from processor.stages.reached import moved
from processor.stages.typed import FIRST_ATTEMPT
from processor.tables import COORDINATES, LOG, PROOFS, TABLES, TYPED
from processor.warehouse import Warehouse


class Finding(NamedTuple):
    """Something that is not as it was proven.

    `batch` is None where all of them are meant, `topic` and `partition` where it is no range.
    """

    batch: int | None
    topic: str | None
    partition: int | None
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
    """What a table holds of one range; `places` is the digest of its coordinates alone."""

    rows: int
    places: str = "0"
    digest: str = "0"
    distinct: int = 0
    first: int = 0
    last: int = 0


Key = tuple[int, Partition]


def verify(
    config: Config,
    warehouse: Warehouse,
    start_spark: Callable[[], SparkSession],
    *,
    kafka: bool = False,
) -> Verified:
    """Recomputes every count and digest from the tables alone; with `kafka`, from the topics too.

    Raises:
        ConfigError: there is no batch.
        LossDetected: plans are lost, or a table is gone or damaged.
        Unavailable: a place or the broker is asked, and does not answer.
    """
    with _damage_is_loss():
        for table in TABLES:
            warehouse.refuse_damage(table)
        found = written(warehouse)
        refuse_unplanned(warehouse, found)
        last = last_planned(warehouse)
        return _verified(config, warehouse, start_spark, found, last, kafka=kafka)


@contextmanager
def _damage_is_loss() -> Iterator[None]:
    """What other commands may try again is what this one was asked about."""
    try:
        yield
    except Damaged as error:
        raise _lost(error) from error
    except (Py4JError, PySparkException) as raised:
        meant = explained(raised)
        if not isinstance(meant, Damaged):
            raise
        raise _lost(meant) from raised


def _lost(damage: Damaged) -> LossDetected:
    return LossDetected(damage.what, remedy=f"{damage.remedy}; nothing was changed")


def _verified(
    config: Config,
    warehouse: Warehouse,
    start_spark: Callable[[], SparkSession],
    found: Sequence[Written],
    last: int,
    *,
    kafka: bool,
) -> Verified:
    planned, proofs = planned_ranges(warehouse), _proofs(warehouse)
    spark = start_spark()
    log = warehouse.frame(spark, LOG)
    held = _held(log)
    proven, decoded = (past(found, each.STAGE) for each in (snapshot, validate))
    landed = [*_chain(planned), *_against_proofs(planned, proofs, held, proven)]
    findings = [
        *_unplanned(planned, last),
        *_behind(found),
        *landed,
        *_watermarks(config, warehouse, log, proofs, landed),
        *_against_log(_typed(warehouse, spark), held, decoded),
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


def _unplanned(planned: Iterable[tuple[int, Range]], last: int) -> Iterator[Finding]:
    for batch in sorted({*range(1, last + 1)} - {batch for batch, _ in planned}):
        yield Finding(batch, None, None, "its plan is gone")


def _proofs(warehouse: Warehouse) -> dict[Key, list[Mapping[str, Any]]]:
    """Of each range there should be one."""
    proofs: dict[Key, list[Mapping[str, Any]]] = defaultdict(list)
    for row in warehouse.rows(PROOFS).to_pylist():
        proofs[_key(row)].append(row)
    return dict(proofs)


def _behind(found: Sequence[Written]) -> Iterator[Finding]:
    for each, upto in behind(found):
        what = (
            f"the table {each.table.name} has no commit of {each.stage.name} for it, and later"
            f" stages are done with batch {upto}"
        )
        yield Finding(each.batch + 1, None, None, what)


def _watermarks(
    config: Config,
    warehouse: Warehouse,
    log: DataFrame,
    proofs: Mapping[Key, Sequence[Mapping[str, Any]]],
    landed: Iterable[Finding],
) -> Iterator[Finding]:
    """What is wrong with a watermark, where nothing is with the rows that it is made of."""
    stored: dict[int, set[Any]] = defaultdict(set)
    for (batch, _), rows in proofs.items():
        stored[batch] |= {row["watermark"] for row in rows}
    intact = stored.keys() - {each.batch for each in landed}
    for batch, what in moved(config, warehouse, log, stored, intact):
        yield Finding(batch, None, None, what)


def _held(log: DataFrame) -> dict[Key, Held]:
    offset = F.col("offset")
    rows = log.groupBy("batch_id", "topic", "partition").agg(
        F.count(F.lit(1)).alias("rows"),
        places().alias("places"),
        digest().alias("digest"),
        F.count_distinct("offset").alias("distinct"),
        F.min(offset).alias("first"),
        F.max(offset).alias("last"),
    )
    return {_key(row.asDict()): Held(*(row[n] for n in Held._fields)) for row in rows.collect()}


def _typed(warehouse: Warehouse, spark: SparkSession) -> dict[Key, Held]:
    """First attempts, of all tables, by the batch that landed them; it has told them too."""
    place = [F.col("origin")[name].alias(name) for name in ("batch_id", *COORDINATES)]
    first = (F.col("attempt") == FIRST_ATTEMPT) & (F.col("batch_id") == F.col("origin.batch_id"))
    tables = [
        warehouse.frame(spark, table).where(first).select(*place)
        for table in filter(warehouse.has_rows, TYPED.values())
    ]
    if not tables:
        return {}
    rows = (
        reduce(DataFrame.union, tables)
        .groupBy("batch_id", "topic", "partition")
        .agg(F.count(F.lit(1)).alias("rows"), places().alias("places"))
    )
    return {_key(row.asDict()): Held(row["rows"], row["places"]) for row in rows.collect()}


def _against_proofs(
    planned: Sequence[tuple[int, Range]],
    proofs: Mapping[Key, Sequence[Mapping[str, Any]]],
    held: Mapping[Key, Held],
    proven: int,
) -> Iterator[Finding]:
    """Each range, its proof and its rows; later than `proven`, only what has a proof is judged."""
    for batch, each in planned:
        mine = proofs.get((batch, part(each)), ())
        if mine or batch <= proven:
            for what in _differences(each, mine, held.get((batch, part(each)), _NOTHING)):
                yield Finding(batch, each.topic, each.partition, what)
    ranges = {(batch, part(each)) for batch, each in planned}
    for side, what in ((held, "the log has rows"), (proofs, "there is a proof")):
        for batch, partition in sorted(side.keys() - ranges):
            yield Finding(batch, *partition, f"{what} that no batch has planned")


def _differences(each: Range, proofs: Sequence[Mapping[str, Any]], held: Held) -> Iterator[str]:
    if len(proofs) != 1:
        yield f"it has {len(proofs)} proofs" if proofs else "its proof is gone"
        return
    (proof,) = proofs
    names = ("landed", "control", "aborted", "compacted", "lost")
    if {proof["expected"], sum(proof[name] for name in names)} != {each.expected}:
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
    """Each log row is one typed row; later than `decoded`, only what has typed rows is judged."""
    for batch, partition in sorted(typed.keys() | log.keys()):
        theirs, ours = (side.get((batch, partition), _NOTHING) for side in (typed, log))
        if batch > decoded and not theirs.rows:
            continue
        if theirs.rows != ours.rows:
            what = f"{theirs.rows} typed rows stand for {ours.rows} rows of the log"
            yield Finding(batch, *partition, what)
        elif theirs.places != ours.places:
            what = f"{theirs.rows} typed rows stand for as many other offsets than the log's"
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
        F.count(F.lit(1)).alias("rows"), digest().alias("digest")
    )
    return {
        Partition(row["topic"], row["partition"]): Held(row["rows"], digest=row["digest"])
        for row in totals.collect()
    }


_NOTHING = Held(0)
