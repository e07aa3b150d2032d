"""The list of stages, and the batch that a run would take through them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from processor.batches import Batch, Partition, Range, ends
from processor.config import Config
from processor.errors import ConfigError, LossDetected
from processor.feedback.question import questions
from processor.plugins import nearest
from processor.stages import compile as compile_
from processor.stages import decide, evaluate, measure, publish, report, snapshot, solicit, validate
from processor.stages.base import ALL_THAT_IS_NEW, Request, Stage
from processor.stages.cut import Nothing, Past, next_cut
from processor.stages.publish import DATASET, REQUEST, TRIGGER
from processor.stages.recipes import recipes
from processor.stages.reference import reference
from processor.stages.solicit import askings
from processor.stages.windows import check_windows
from processor.table import Table
from processor.tables import BATCHES, RECORDS
from processor.triggers.machine import rules_of
from processor.version import code_version
from processor.warehouse import Warehouse

STAGES: tuple[Stage, ...] = (
    snapshot.STAGE,
    validate.STAGE,
    compile_.STAGE,
    solicit.STAGE,
    measure.STAGE,
    evaluate.STAGE,
    decide.STAGE,
    publish.STAGE,
    report.STAGE,
)
PLAN = "plan"  # the txn that decides what a batch is
BACKFILLS = "backfills"
"""The folder of a warehouse in which each backfill has one: tables of batches planned here."""


class Written(NamedTuple):
    """The last batch that a stage wrote to one of its tables; 0 before any."""

    stage: Stage
    table: Table
    batch: int


@dataclass(frozen=True)
class Planned:
    """A batch, and which stages still have to run for it.

    `held_back`: by how many offsets open transactions kept a new cut from where it should be.
    """

    batch: Batch
    stored: bool
    pending: tuple[Stage, ...]
    held_back: Mapping[Partition, int] = field(default_factory=dict)


def stage(name: str) -> Stage:
    """The stage called `name`; raises ConfigError, with the nearest name, if there is none."""
    found = {each.name: each for each in STAGES}
    if name not in found:
        raise ConfigError(f"unknown stage {name!r}", remedy=nearest(name, list(found)))
    return found[name]


def subjects(config: Config) -> dict[str, str]:
    """The record of each topic that this software reads or writes."""
    read = {topic: RECORDS[table] for topic, table in config.topics.by_topic().items()}
    outputs = config.outputs
    written = {
        outputs.retraining_triggers: TRIGGER,
        outputs.datasets: DATASET,
        outputs.label_requests: REQUEST,
    }
    return {**read, **written}


def preflight(config: Config) -> None:
    """Finds what no run could get past before one is begun.

    Raises:
        ConfigError: a loop names a signal, policy, format, rule, window or reference that is no
            such thing.
    """
    recipes(config)
    askings(config)
    for loop in config.loop.values():
        questions(loop)
        rules_of(loop)
        check_windows(loop)
        reference(loop)


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
        replay=rows[0]["replay"],
    )


def _range(row: Mapping[str, object]) -> Range:
    names = ("topic", "topic_id", "partition", "start_offset", "end_offset")
    known = (*names, "log_start_offset", "high_watermark", "first_seen", "left_over")
    return Range(*(row[n] for n in known))  # type: ignore[arg-type]  # a row's types are its table's


def begun(warehouse: Warehouse) -> Planned | None:
    """The batch that was begun and is not finished; raises as `unfinished` does."""
    if not (pending := unfinished(warehouse)):
        return None
    last = warehouse.committed(BATCHES, PLAN)
    return Planned(stored_batch(warehouse, last), stored=True, pending=pending)


def unfinished(warehouse: Warehouse) -> tuple[Stage, ...]:
    """The stages that still have something to say of the last batch.

    Raises:
        LossDetected: as `refuse_unplanned` does.
    """
    found = written(warehouse)
    last = refuse_unplanned(warehouse, [each for each in found if each.stage is snapshot.STAGE])
    short = {each.stage.name for each in found if each.batch < last}
    return tuple(each for each in STAGES if each.name in short)


def last_planned(warehouse: Warehouse) -> int:
    """The last batch; raises ConfigError where there is none, as in a folder that is mistyped."""
    _refuse_backfill(warehouse)
    last = warehouse.committed(BATCHES, PLAN)
    if not last:
        raise ConfigError(f"no batch yet in {warehouse.root}", remedy="`bfp run` makes the first")
    return last


def written(warehouse: Warehouse) -> list[Written]:
    """How far each stage has come with each of its tables, in order of the stages."""
    return [
        Written(each, table, warehouse.committed(table, each.writer(table)))
        for each in STAGES
        for table in each.writes
    ]


def refuse_unplanned(warehouse: Warehouse, found: Iterable[Written]) -> int:
    """The last batch that was planned; a table that is ahead of it tells of lost plans.

    Raises:
        ConfigError: it is the folder of a backfill.
        LossDetected: names the batch that a table has, and that has no plan.
    """
    _refuse_backfill(warehouse)
    planned = warehouse.committed(BATCHES, PLAN)
    ahead = next((each for each in found if each.batch > planned), None)
    if ahead is not None:
        raise LossDetected(
            f"batch {ahead.batch} is in the table {ahead.table.name} and was never planned:"
            f" {warehouse.uri(BATCHES.name)} has lost its last commits",
            remedy="restore the newest files of its _delta_log; an empty one is what a crash of"
            " the machine leaves",
        )
    return planned


def _refuse_backfill(warehouse: Warehouse) -> None:
    if warehouse.root.rstrip("/").rpartition("/")[0].endswith(f"/{BACKFILLS}"):
        raise ConfigError(
            f"{warehouse.root} is the folder of a backfill: its batches are another warehouse's",
            remedy="give that one; `bfp dataset list` and `bfp dataset diff` read a backfill too",
        )


def next_batch(
    config: Config,
    warehouse: Warehouse,
    run_id: str,
    request: Request = ALL_THAT_IS_NEW,
    patience: timedelta = timedelta(0),
) -> Planned | Nothing:
    """The batch that a run would work on: one begun and not finished, else the next cut.

    Nothing where there is nothing new, or nothing new up to the moment asked for. Nothing is
    written; the clock is read here and nowhere else. `patience` is for open transactions.

    Raises:
        Unavailable: the broker does not answer.
        LossDetected: what a batch would begin with is gone.
    """
    if (unfinished := begun(warehouse)) is not None:
        return unfinished
    last = warehouse.committed(BATCHES, PLAN)
    planned_at = datetime.now(UTC)
    found = next_cut(config, past(warehouse), request, patience)
    if isinstance(found, Nothing):
        return found
    batch = Batch(
        last + 1, found.ranges, planned_at, run_id, config.hash, code_version(), found.time
    )
    return Planned(batch, stored=False, pending=STAGES, held_back=found.held_back)


def planned_ranges(warehouse: Warehouse) -> list[tuple[int, Range]]:
    """Every range that was ever planned, with its batch, in order of batch."""
    return [(row["batch_id"], _range(row)) for row in _planned(warehouse)]


def _planned(warehouse: Warehouse) -> list[dict[str, Any]]:
    return sorted(warehouse.rows(BATCHES).to_pylist(), key=lambda row: row["batch_id"])


def past(warehouse: Warehouse) -> Past:
    """What earlier batches took; one that decodes again what was read has cut nothing."""
    rows = _planned(warehouse)
    read = ends(_range(row) for row in rows)
    cuts = [row for row in rows if row["replay"] is None]
    if not cuts:
        return Past(read, (), None, None)
    last = cuts[-1]
    ranges = tuple(_range(row) for row in cuts if row["batch_id"] == last["batch_id"])
    return Past(read, ranges, last["cut_time"], last["cut_time"] or last["planned_at"])


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
            "first_seen": each.first_seen,
            "left_over": each.left_over,
            "cut_time": batch.cut_time,
            "planned_at": batch.planned_at,
            "run_id": batch.run_id,
            "config_hash": batch.config_hash,
            "code_version": batch.code_version,
            "replay": batch.replay,
        }
        for each in batch.ranges
    ]
    warehouse.append_once(BATCHES, rows, PLAN, batch.id)


def told(planned: Planned) -> Iterator[str]:
    """What a new batch is, in sentences: how much, up to when, and what it leaves."""
    batch = planned.batch
    upto = f", cut at {batch.cut_time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if batch.cut_time else ""
    yield f"batch {batch.id}: {batch.expected:,} offsets{upto}"
    yield from shortfall(planned.held_back)
    if batch.partial:
        left = sum(each.left_over for each in batch.ranges)
        yield f"batch.max_rows leaves {left:,} offsets of the cut to the next batch"


def shortfall(held_back: Mapping[Partition, int]) -> Iterator[str]:
    """What open transactions keep from a batch, in a sentence; none where they keep nothing."""
    if held_back:
        where = ", ".join(f"{p.topic}/{p.partition} {n:,}" for p, n in held_back.items())
        yield f"open transactions hold offsets back, which a later batch takes: {where}"
