"""The runner: plan, then every stage whose tables are not yet written for the batch."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil
from pyspark.sql import SparkSession

from processor.batches import Batch
from processor.config import Config
from processor.errors import ProcessorError
from processor.faults import explained
from processor.lock import held
from processor.processes import is_jvm, relatives
from processor.stages.base import ALL_THAT_IS_NEW, Context, Request, Stage
from processor.stages.cut import Nothing
from processor.stages.pipeline import (
    PLAN,
    STAGES,
    Planned,
    next_batch,
    plan,
    preflight,
    shortfall,
    told,
)
from processor.tables import RUNS
from processor.warehouse import Warehouse


@dataclass(frozen=True)
class Taken:
    """What a run did: the batch, and the stages that ran for it.

    `resumed`: an earlier run began it. `partial`: a later batch takes the rest of the same cut.
    """

    batch: int
    run_id: str
    stages: tuple[str, ...]
    cut_time: datetime | None = None
    resumed: bool = False
    partial: bool = False


def take(
    config: Config,
    start_spark: Callable[[], SparkSession],
    say: Callable[[str], None],
    request: Request = ALL_THAT_IS_NEW,
    only: Sequence[Stage] = STAGES,
) -> Taken | None:
    """Takes the next batch through the stages, or finishes the one begun.

    None where nothing new can be read.

    Raises:
        BatchHeld: another run is at work on the warehouse.
        ProcessorError: a stage failed; the next run goes on where it stopped.
    """
    preflight(config)
    run_id = str(uuid.uuid4())
    with held(config.warehouse, config.batch.lease):
        warehouse = Warehouse(config.warehouse)
        patience = config.batch.open_transaction_wait
        planned = next_batch(config, warehouse, run_id, request, patience)
        if isinstance(planned, Nothing):
            for sentence in shortfall(planned.held_back):
                say(sentence)
            return None
        context = Context(config, warehouse, run_id, start_spark, say, request.accepted)
        return through(context, planned, only)


def through(context: Context, planned: Planned, only: Sequence[Stage] = STAGES) -> Taken:
    """Takes a batch through the stages that are still to be run for it; a new one is planned."""
    if not planned.stored:
        for sentence in told(planned):
            context.say(sentence)
        plan(context.warehouse, planned.batch)
    due = [each for each in planned.pending if each in only]
    run_stages(context, planned.batch, due)
    batch, done = planned.batch, (*(() if planned.stored else (PLAN,)), *(s.name for s in due))
    return Taken(batch.id, context.run_id, done, batch.cut_time, planned.stored, batch.partial)


def run_stages(context: Context, batch: Batch, due: Iterable[Stage]) -> None:
    """Takes a batch through stages, and keeps what each of them cost."""
    for each in due:
        _timed(context, batch, each)


def _timed(context: Context, batch: Batch, each: Stage) -> None:
    """Runs one stage and keeps what it cost, also when it fails.

    Raises:
        ProcessorError: as the stage does, or what an error of Spark's JVM means.
    """
    context.say(f"{each.name}: {each.summary}")
    started, cpu = datetime.now(UTC), _cpu_seconds()
    try:
        each.perform(context, batch)
    except Exception as raised:
        known = isinstance(raised, ProcessorError)  # it says more than what it may quote
        error = raised if known else explained(raised) or raised
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
