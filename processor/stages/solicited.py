"""The part of `measure` that says what became of a loop's label requests.

Counted as standings are: what a batch can have news of, and the difference to what was measured.
"""

from __future__ import annotations

from collections import Counter

from pyspark.sql import functions as F

from processor.batches import Batch
from processor.feedback.rule import NEGATIVE, ON_TIME, POSITIVE, VALUE
from processor.feedback.standing import latest
from processor.loops import LoopConfig
from processor.measure.requests import NAMES, standing
from processor.measurements import OVERALL, REQUESTS, Measurement
from processor.stages.base import Context, watermarks
from processor.stages.compile import rule_of
from processor.stages.sources import ledger, requests
from processor.stages.standings import WINDOW, measured

_ANSWERS = (POSITIVE, NEGATIVE, VALUE)


def progress(context: Context, loop: LoopConfig, batch: Batch) -> list[Measurement]:
    """How many requests were answered, expired, or are open; nothing for a loop that asks none."""
    if loop.label_requests is None:
        return []
    counts = _counts(context, loop, batch)
    return [
        Measurement(
            loop=loop.loop,
            model_name=loop.model,
            model_version=OVERALL,
            metric=f"{REQUESTS}{name}",
            slice=OVERALL,
            window=WINDOW,
            n=counts[name],
            value=counts[name] / counts.total() if counts.total() else None,
        )
        for name in NAMES
    ]


def _counts(context: Context, loop: LoopConfig, batch: Batch) -> Counter[str]:
    last, marks = measured(context, loop, batch, REQUESTS), watermarks(context)
    since = rule_of(loop).horizon(marks.get(last.batch_id))
    made = requests(context, batch.id, since)
    found = Counter(last.counts)
    if made is None:
        return found
    mine, said = made.where(F.col("loop") == loop.loop), ledger(context, loop, batch, since)
    for number, sign in ((batch.id, 1), (last.batch_id, -1)):
        by_then = F.col("batch_id") <= number
        known = latest(said.where(by_then), "state", "timing").where(
            (F.col("timing") == ON_TIME) & F.col("state").isin(*_ANSWERS)
        )
        for row in standing(mine.where(by_then), known, marks.get(number)).collect():
            found[row["standing"]] += sign * row["n"]
    return found
