"""The runner: plan, then every stage whose tables are not yet written for the batch."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil
from pyspark.sql import SparkSession

from processor.batches import Batch
from processor.config import Config
from processor.errors import ProcessorError
from processor.lock import held
from processor.processes import is_jvm, relatives
from processor.stages.base import NOTHING_ACCEPTED, Accepted, Context, Stage
from processor.stages.faults import explained
from processor.stages.pipeline import PLAN, STAGES, Planned, next_batch, plan, preflight
from processor.tables import RUNS
from processor.warehouse import Warehouse


@dataclass(frozen=True)
class Taken:
    """What a run did: the batch, and the stages that ran for it."""

    batch: int
    run_id: str
    stages: tuple[str, ...]


def take(
    config: Config,
    start_spark: Callable[[], SparkSession],
    say: Callable[[str], None],
    only: Sequence[Stage] = STAGES,
    accepted: Accepted = NOTHING_ACCEPTED,
) -> Taken | None:
    """Takes the next batch through the stages, or finishes the one begun; None if nothing is new.

    Raises:
        BatchHeld: another run is at work on the warehouse.
        ProcessorError: a stage failed; the next run goes on where it stopped.
    """
    preflight(config)
    run_id = str(uuid.uuid4())
    with held(config.warehouse, config.batch.lease):
        warehouse = Warehouse(config.warehouse)
        planned = next_batch(config, warehouse, run_id, accept_new_topic=accepted.new_topic)
        if planned is None:
            return None
        context = Context(config, warehouse, run_id, start_spark, say, accepted)
        return Taken(planned.batch.id, run_id, _run(context, planned, only))


def _run(context: Context, planned: Planned, only: Sequence[Stage]) -> tuple[str, ...]:
    if not planned.stored:
        context.say(f"batch {planned.batch.id}: {planned.batch.expected:,} offsets")
        plan(context.warehouse, planned.batch)
    due = [each for each in planned.pending if each in only]
    for each in due:
        _timed(context, planned.batch, each)
    return (*(() if planned.stored else (PLAN,)), *(each.name for each in due))


def _timed(context: Context, batch: Batch, each: Stage) -> None:
    """Runs one stage and keeps what it cost, also when it fails.

    Raises:
        ProcessorError: as the stage does, or what an error of Spark's JVM means.
    """
    context.say(f"{each.name}: {each.summary}")
    started, cpu = datetime.now(UTC), _cpu_seconds()
    try:
        if each.gate is not None:
            each.gate(context, batch)
        each.run(context, batch)
    except Exception as raised:
        error = explained(raised) or raised
        with suppress(ProcessorError):  # what stopped the stage may stop this too, and came first
            _keep(context, batch, each, started, cpu, error)
        if error is raised:
            raise
        raise error from raised
    _keep(context, batch, each, started, cpu, None)


def _keep(  # one row's columns
    context: Context,
    batch: Batch,
    each: Stage,
    started: datetime,
    cpu: float,
    error: Exception | None,
) -> None:
    """Appends what a stage cost to `runs`."""
    rows, size = (0, 0) if error else _written(context.warehouse, each, batch.id)
    first_line = next(iter(str(error).splitlines()), "") if error else ""
    row = {
        "batch_id": batch.id,
        "run_id": context.run_id,
        "stage": each.name,
        "started_at": started,
        "ended_at": datetime.now(UTC),
        "rows": rows,
        "bytes": size,
        "cpu_seconds": _cpu_seconds() - cpu,
        "outcome": "failed" if error else "done",
        "error": f"{type(error).__name__}: {first_line}" if error else None,
        "accepted": context.accepted.names,
    }
    context.warehouse.append(RUNS, [row])


def _written(warehouse: Warehouse, each: Stage, batch_id: int) -> tuple[int, int]:
    counted = [warehouse.files(table, batch_id) for table in each.writes if table is not RUNS]
    return sum(rows for rows, _ in counted), sum(size for _, size in counted)


def _cpu_seconds() -> float:
    """CPU time of this process and of its JVM; executors on other machines are not in it."""
    own = psutil.Process()
    return _cpu(own) + sum(_cpu(each) for each in relatives(own) if is_jvm(each))


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)
