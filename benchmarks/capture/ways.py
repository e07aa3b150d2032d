"""The ways that are compared, each from a session that has just started."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import from_avro

from benchmarks.capture.settings import Job
from benchmarks.meter import Cost, metered
from benchmarks.usual import usual_session
from processor.avro.contracts import contract
from processor.avro.framing import CONFLUENT_BYTES
from processor.local.spark import on_demand
from processor.session import end
from processor.stages.pipeline import stage
from processor.stages.runner import take
from processor.tables import LOG, RUNS, TYPED
from processor.warehouse import Warehouse

STAGES = ("snapshot", "validate")


@dataclass(frozen=True)
class Measured:
    """What a way cost, step by step, and the sizes in bytes of the files it left, by table."""

    start: Cost
    steps: Mapping[str, Cost]
    rows: int
    files: Mapping[str, list[int]] = field(default_factory=dict)


def pipeline(job: Job, before_end: Callable[[], None]) -> Measured:
    """This software's own runner, for its first two stages: landing with the proof, decoding."""
    config = job.config()
    with on_demand(config.spark, _quiet) as start:
        with metered() as started:
            start()
        with metered() as together:
            take(config, start, _quiet, only=[stage(name) for name in STAGES])
        before_end()
    warehouse = Warehouse(config.warehouse)
    typed = TYPED["inferences"]
    return Measured(
        start=started,
        steps={**_stages(warehouse), "together": together},
        rows=_count(warehouse.uri(typed.name)),
        files={table.name: _sizes(warehouse.uri(table.name)) for table in (LOG, typed)},
    )


def naive(job: Job, before_end: Callable[[], None]) -> Measured:
    """The usual way: it keeps no bytes, proves nothing, and trusts every record."""
    config, home = job.config(), Path(job.folder).resolve()
    place = home / "naive"
    with metered() as started:
        spark = usual_session(home / "spark")
    try:
        with metered() as whole:
            _stream(spark, config.kafka.bootstrap_servers, job.topic, place)
        before_end()
    finally:
        end(spark)
    table = str(place / "table")
    return Measured(started, {"together": whole}, _count(table), {"naive": _sizes(table)})


def session_only(job: Job, before_end: Callable[[], None]) -> Measured:
    """A session and nothing else."""
    with on_demand(job.config().spark, _quiet) as start:
        with metered() as started:
            start()
        before_end()
    return Measured(started, {}, 0)


WAYS: Mapping[str, Callable[[Job, Callable[[], None]], Measured]] = {
    "naive": naive,
    "pipeline": pipeline,
    "session": session_only,
}


def _quiet(_text: str) -> None:
    """Progress is told by the program that starts the ways."""


def _stages(warehouse: Warehouse) -> dict[str, Cost]:
    return {
        row["stage"]: Cost(
            (row["ended_at"] - row["started_at"]).total_seconds(), row["cpu_seconds"]
        )
        for row in warehouse.rows(RUNS).to_pylist()
    }


def _stream(spark: SparkSession, servers: str, topic: str, place: Path) -> None:
    body = F.expr(f"substring(value, {CONFLUENT_BYTES + 1}, length(value))")
    rows = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", servers)
        .option("subscribe", topic)
        .option("startingOffsets", "earliest")
        .load()
        .select(from_avro(body, contract("InferenceEvent").text).alias("event"))
        .select("event.*")
    )

    def append(batch: DataFrame, _number: int) -> None:
        batch.write.format("delta").mode("append").save(f"file://{place}/table")

    query = (
        rows.writeStream.foreachBatch(append)
        .option("checkpointLocation", f"file://{place}/checkpoint")
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()


def _count(table: str) -> int:
    return sum(row for row, _ in _files(table))


def _sizes(table: str) -> list[int]:
    return sorted(size for _, size in _files(table))


def _files(table: str) -> Iterator[tuple[int, int]]:
    for row in pa.table(DeltaTable(table).get_add_actions(flatten=True)).to_pylist():
        yield row["num_records"], row["size_bytes"]
