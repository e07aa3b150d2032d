"""Whether a batch can change anything that is known; asked of Delta, without a JVM."""

from __future__ import annotations

from typing import Any

from processor.batches import Batch
from processor.loops import LoopConfig, OutcomeConfig
from processor.stages.base import Context, watermarks
from processor.tables import TYPED


def quiet(context: Context, batch: Batch) -> bool:
    """Whether the batch brings no record, decodes none again, and no silence is an answer in it."""
    if batch.expected or batch.replay is not None:
        return False
    return not any(
        _answered(context, loop, told, batch)
        for loop in context.config.loop.values()
        for told in (loop.outcome, *loop.outcomes)
    )


def _answered(context: Context, loop: LoopConfig, told: OutcomeConfig, batch: Batch) -> bool:
    """Whether the batch may close a window in which nothing came, and the loop makes that count.

    An inference without `response_time` goes by its `event_time`: both are looked at, which finds
    one too many at worst.
    """
    marks = watermarks(context)
    now, before = marks.get(batch.id), marks.get(batch.id - 1)
    if told.default is None or now is None:
        return False
    span = told.window + told.grace
    bounds = [("<=", now - span), *([(">", before - span)] if before else [])]
    return any(
        _has_inferences(context, loop, [(column, how, at) for how, at in bounds])
        for column in ("response_time", "event_time")
    )


def _has_inferences(context: Context, loop: LoopConfig, where: list[tuple[str, str, Any]]) -> bool:
    found = context.warehouse.rows(
        TYPED["inferences"],
        columns=["model_name"],
        where=[("model_name", "=", loop.model), *where],
    )
    return bool(found.num_rows)
