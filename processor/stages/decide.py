"""decide: every rule of every loop gives a verdict on the batch, also when it is no."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from processor.batches import Batch
from processor.loops import LoopConfig
from processor.measurements import Measurement
from processor.stages.base import Context, Stage, Writes, watermarks
from processor.tables import DATASETS, DECISIONS, MEASUREMENTS, PROOFS, TYPED
from processor.triggers.facts import Facts, PastDecision, TrainingEvent
from processor.triggers.machine import decide_all, rules_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def run(context: Context, batch: Batch) -> None:
    """Decides on facts alone: tables as of the batch, and the watermark for a clock."""
    writes = Writes("decide", context, batch)
    if not writes.pending(DECISIONS):
        return
    rows: list[dict[str, Any]] = []
    for loop in context.config.loop.values():
        told = facts(context, loop, batch)
        rows += [_row(batch, told, asdict(d)) for d in decide_all(told, rules_of(loop))]
    writes.rows(DECISIONS, rows)


def facts(context: Context, loop: LoopConfig, batch: Batch) -> Facts:
    """What the rules may know of a loop as of the batch."""
    marks = watermarks(context)
    now = marks.get(batch.id, EPOCH)
    previous = _previous(context, loop, batch)
    return Facts(
        loop=loop.loop,
        model_name=loop.model,
        baseline_version=loop.reference.model_version if loop.reference else "",
        batch_id=batch.id,
        now=now,
        window_start=marks.get(batch.id - 1, EPOCH),
        window_end=now,
        measurements=_measurements(context, loop, batch),
        dataset=loop.datasets[0].name if loop.datasets else "",
        new_rows=_new_rows(context, loop, batch, previous),
        training=_training(context, loop, batch),
        previous=previous,
    )


def _measurements(context: Context, loop: LoopConfig, batch: Batch) -> tuple[Measurement, ...]:
    names = {field.name for field in fields(Measurement)}
    rows = context.warehouse.rows(
        MEASUREMENTS, where=[("batch_id", "=", batch.id), ("loop", "=", loop.loop)]
    ).to_pylist()
    return tuple(Measurement(**{k: v for k, v in row.items() if k in names}) for row in rows)


def _new_rows(
    context: Context, loop: LoopConfig, batch: Batch, previous: tuple[PastDecision, ...]
) -> int:
    """Rows of the loop's first dataset whose outcome is news since its last trigger.

    A full version repeats what earlier ones had; that is not counted again.
    """
    if not loop.datasets:
        return 0
    since = max((past.batch_id for past in previous if past.state == "FIRED"), default=0)
    rows = context.warehouse.rows(
        DATASETS,
        as_of=batch.id,
        columns=["new_rows"],
        where=[("batch_id", ">", since), ("dataset", "=", loop.datasets[0].name)],
    )
    return sum(rows["new_rows"].to_pylist())


def _training(context: Context, loop: LoopConfig, batch: Batch) -> tuple[TrainingEvent, ...]:
    rows = context.warehouse.rows(
        TYPED["lifecycle"],
        as_of=batch.id,
        columns=["event_time", "action", "trigger_id", "model_version", "defects", "model_name"],
        where=[("model_name", "=", loop.model)],
    ).to_pylist()
    return tuple(
        TrainingEvent(row["action"], row["trigger_id"], row["model_version"], row["event_time"])
        for row in sorted(rows, key=lambda r: (r["event_time"], r["action"]))
        if not row["defects"]
    )


def _previous(context: Context, loop: LoopConfig, batch: Batch) -> tuple[PastDecision, ...]:
    names = [field.name for field in fields(PastDecision)]
    rows = context.warehouse.rows(
        DECISIONS, as_of=batch.id - 1, where=[("loop", "=", loop.loop)]
    ).to_pylist()
    past = (PastDecision(**{n: row[n] for n in names}) for row in rows)
    return tuple(sorted(past, key=lambda each: each.batch_id))


def _row(batch: Batch, told: Facts, decision: dict[str, Any]) -> dict[str, Any]:
    wanted = (name for name in DECISIONS.schema.names if name in decision)
    return {
        **{name: decision[name] for name in wanted},
        "batch_id": batch.id,
        "decided_at": told.now,
        "run_id": batch.run_id,
    }


STAGE = Stage(
    "decide",
    "apply every rule: fire, stay quiet, or say why not",
    (MEASUREMENTS, DATASETS, TYPED["lifecycle"], PROOFS, DECISIONS),
    (DECISIONS,),
    run,
)
