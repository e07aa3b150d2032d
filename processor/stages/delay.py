"""The part of `measure` that says how answers come over time, and what is recent comes to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.feedback.outcomes import PLACE, first_by
from processor.feedback.rule import NEGATIVE, ON_TIME, POSITIVE, VALUE
from processor.feedback.standing import latest
from processor.loops import LoopConfig
from processor.measure import answered, delay
from processor.measurements import OVERALL, Measurement
from processor.stages.base import Context, watermarks
from processor.stages.compile import rule_of
from processor.stages.sources import inferences, ledger

A_DAY = timedelta(days=1)
"""How far back closed windows are looked at at least: hours of a day are not alike."""


def delays(context: Context, loop: LoopConfig, batch: Batch) -> Iterator[Measurement]:
    """How the answers to what responded lately arrive; nothing before there is a watermark.

    Looked at are the inferences whose window is open, and those before them for as long as a
    window, or A_DAY: what a batch reads does not grow with history.
    """
    mark = watermarks(context).get(batch.id)
    if mark is None:
        return
    rule = rule_of(loop)
    since = mark - rule.patience - max(rule.window, A_DAY)
    # What happened in the last `grace` may still be on its way.
    counted = answered.delays(_answers(context, loop, batch, since), mark - rule.grace, rule.window)
    blank = Measurement(
        loop=loop.loop,
        model_name=loop.model,
        model_version=OVERALL,
        metric="",
        slice=OVERALL,
        window=delay.LOOKBACK,
        n=0,
        window_start=since,
        window_end=mark,
    )
    found = delay.delays(counted.toArrow().to_pylist())
    sided = rule.positive is not None
    yield from delay.measured(found, blank, loop.min_slice_rows, sided=sided)


def _answers(context: Context, loop: LoopConfig, batch: Batch, since: datetime) -> DataFrame:
    """Each inference, and when the answer came that it is known by.

    One that ties or was taken back is none, nor is silence: nobody gave it.
    """
    said = inferences(context, loop, batch, since).select("inference_id", "response_time", *PLACE)
    last = latest(ledger(context, loop, batch, since), "state", "timing", "answered_at")
    known = last.where(
        F.col("state").isin(POSITIVE, NEGATIVE, VALUE) & (F.col("timing") == ON_TIME)
    )
    return first_by(said, "inference_id").join(
        known.select("inference_id", "answered_at", (F.col("state") == POSITIVE).alias("positive")),
        "inference_id",
        "left",
    )
