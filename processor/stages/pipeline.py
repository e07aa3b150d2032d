"""The list of stages, and the runner: plan, then every stage whose tables are not yet written."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from processor.batches import Batch, Partition, Range, next_ranges
from processor.config import Config
from processor.errors import ConfigError
from processor.kafka.offsets import Broker
from processor.plugins import nearest
from processor.stages import compile as compile_
from processor.stages import decide, evaluate, measure, publish, report, snapshot, validate
from processor.stages.base import Context, Stage
from processor.tables import BATCHES, RUNS, Warehouse
from processor.version import code_version

STAGES: tuple[Stage, ...] = (
    snapshot.STAGE,
    validate.STAGE,
    compile_.STAGE,
    measure.STAGE,
    evaluate.STAGE,
    decide.STAGE,
    publish.STAGE,
    report.STAGE,
)
PLAN = "plan"  # the txn that decides what a batch is


@dataclass(frozen=True)
class Planned:
    """A batch, and which stages still have to run for it."""

    batch: Batch
    stored: bool
    pending: tuple[Stage, ...]


def stage(name: str) -> Stage:
    """The stage called `name`; raises ConfigError, with the nearest name, if there is none."""
    found = {each.name: each for each in STAGES}
    if name not in found:
        raise ConfigError(f"unknown stage {name!r}", remedy=nearest(name, list(found)))
    return found[name]


def stored_batch(warehouse: Warehouse, batch_id: int) -> Batch:
    """A batch as it was planned."""
    rows = warehouse.rows(BATCHES, where=[("batch_id", "=", batch_id)]).to_pylist()
    if not rows:
        raise ConfigError(f"no batch {batch_id}", remedy="`bfp status` lists those there are")
    return Batch(
        id=batch_id,
        ranges=tuple(sorted((_range(row) for row in rows), key=lambda r: (r.topic, r.partition))),
        planned_at=rows[0]["planned_at"],
        run_id=rows[0]["run_id"],
        config_hash=rows[0]["config_hash"],
        code_version=rows[0]["code_version"],
        cut_time=rows[0]["cut_time"],
    )


def _range(row: Mapping[str, object]) -> Range:
    names = ("topic", "topic_id", "partition", "start_offset", "end_offset")
    return Range(*(row[n] for n in (*names, "log_start_offset", "high_watermark")))  # type: ignore[arg-type]  # a row's types are its table's


def next_batch(config: Config, warehouse: Warehouse, run_id: str) -> Planned | None:
    """The batch that a run would work on: one begun and not finished, else the next cut.

    None where there is nothing new. Nothing is written; the clock is read here and nowhere else.

    Raises:
        Unavailable: the broker does not answer.
        LossDetected: what a batch would begin with is gone.
    """
    last = warehouse.committed(BATCHES, PLAN)
    if last:
        unfinished = tuple(each for each in STAGES if not each.done(warehouse, last))
        if unfinished:
            return Planned(stored_batch(warehouse, last), stored=True, pending=unfinished)
    planned_at = datetime.now(UTC)
    previous = _ends(warehouse)
    bounds = Broker(config.kafka).bounds(config.topics.by_topic())
    if not bounds:
        raise ConfigError(
            f"none of the input topics exists on {config.kafka.bootstrap_servers}",
            remedy="create them, or set `topics` to the names they have",
        )
    ranges = next_ranges(previous, bounds)
    batch = Batch(last + 1, ranges, planned_at, run_id, config.hash, code_version())
    return Planned(batch, stored=False, pending=STAGES) if batch.expected else None


def _ends(warehouse: Warehouse) -> dict[Partition, Range]:
    """The last range of every partition that was ever read."""
    rows = sorted(warehouse.rows(BATCHES).to_pylist(), key=lambda row: row["batch_id"])
    return {Partition(row["topic"], row["partition"]): _range(row) for row in rows}


def plan(warehouse: Warehouse, batch: Batch) -> None:
    """Writes down what the batch is: one commit, before the first byte is read."""
    rows = [
        {
            "batch_id": batch.id,
            "topic": each.topic,
            "topic_id": each.topic_id,
            "partition": each.partition,
            "start_offset": each.start,
            "end_offset": each.end,
            "log_start_offset": each.log_start,
            "high_watermark": each.high_watermark,
            "cut_time": batch.cut_time,
            "planned_at": batch.planned_at,
            "run_id": batch.run_id,
            "config_hash": batch.config_hash,
            "code_version": batch.code_version,
        }
        for each in batch.ranges
    ]
    warehouse.append_once(BATCHES, rows, PLAN, batch.id)


def run(
    context: Context, planned: Planned, only: Sequence[Stage], after: Callable[[str], None]
) -> None:
    """Runs the pending stages among `only`, in the order of the list; `after` hears of each."""
    if not planned.stored:
        plan(context.warehouse, planned.batch)
        after(PLAN)
    for each in planned.pending:
        if each in only:
            _timed(context, planned.batch, each)
            after(each.name)


def _timed(context: Context, batch: Batch, each: Stage) -> None:
    """Runs one stage and keeps what it cost, also when it fails."""
    context.say(f"{each.name}: {each.summary}")
    started, cpu = datetime.now(UTC), _cpu_seconds(context)
    error: str | None = None
    try:
        each.run(context, batch)
    except BaseException as raised:
        error = f"{type(raised).__name__}: {str(raised).splitlines()[0] if str(raised) else ''}"
        raise
    finally:
        rows, size = (0, 0) if error else _written(context.warehouse, each, batch.id)
        context.warehouse.append(
            RUNS,
            [
                {
                    "batch_id": batch.id,
                    "run_id": context.run_id,
                    "stage": each.name,
                    "started_at": started,
                    "ended_at": datetime.now(UTC),
                    "rows": rows,
                    "bytes": size,
                    "cpu_seconds": _cpu_seconds(context) - cpu,
                    "outcome": "failed" if error else "done",
                    "error": error,
                }
            ],
        )


def _written(warehouse: Warehouse, each: Stage, batch_id: int) -> tuple[int, int]:
    counted = [warehouse.files(table, batch_id) for table in each.writes if table is not RUNS]
    return sum(rows for rows, _ in counted), sum(size for _, size in counted)


def _cpu_seconds(context: Context) -> float:
    """CPU time of this process and of its JVM; executors on other machines are not in it."""
    times = os.times()
    return times.user + times.system + (jvm_cpu_seconds(context) if context.started else 0.0)


def jvm_cpu_seconds(context: Context) -> float:
    """CPU time that the driver's JVM has used, from its own management bean."""
    jvm = context.spark.sparkContext._jvm  # noqa: SLF001  # the only way to the JVM
    bean = jvm.java.lang.management.ManagementFactory.getOperatingSystemMXBean()
    return float(bean.getProcessCpuTime()) / 1e9


