"""Cuts that a limit on rows divided over several batches: time moves on with the last of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pyspark.sql import functions as F

from processor.batches import Batch
from processor.stages.base import Context
from processor.tables import BATCHES


def stamps(context: Context, batch: Batch, latest: Sequence[datetime]) -> list[datetime]:
    """What moves the watermark: the largest record timestamps of all that the cut reached.

    None but for the last part: what one partition has not said yet must not be late because
    another has said more. `latest` are those of the batch itself.
    """
    if batch.partial:
        return []
    if batch.cut_time is not None or not (before := parts_before(context, batch)):
        return list(latest)
    limit = batch.planned_at + context.config.batch.watermark_tolerance
    believable = context.landed(batch, before).where(F.col("timestamp") <= F.lit(limit))
    (row,) = believable.agg(F.max("timestamp").alias("latest")).collect()
    return [*latest, *([row["latest"].astimezone()] if row["latest"] else [])]


def parts_before(context: Context, batch: Batch) -> list[int]:
    """The batches that took the first parts of the batch's cut, newest first."""
    columns = ["batch_id", "left_over", "replay"]
    rows = context.warehouse.rows(BATCHES, as_of=batch.id - 1, columns=columns).to_pylist()
    cuts = {row["batch_id"] for row in rows if row["replay"] is None}
    divided = {row["batch_id"] for row in rows if row["left_over"]}
    found: list[int] = []
    for number in sorted(cuts, reverse=True):
        if number not in divided:
            break
        found.append(number)
    return found
