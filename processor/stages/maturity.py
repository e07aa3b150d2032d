"""The part of `compile` that says how much of a version's span is over."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.feedback.question import question_of
from processor.loops import LoopConfig
from processor.stages.base import Context, watermarks
from processor.stages.sources import inferences
from processor.stages.windows import MOMENT


def maturity(context: Context, loop: LoopConfig, batch: Batch, rows: DataFrame) -> float:
    """Of the inferences from the first row to the last, the share whose window is closed.

    By `response_time`, the ends included, as of the batch; those that have no answer, or that the
    recipe leaves out, are among them, and one that was sent twice counts twice.
    """
    ends = (F.min("response_time").alias("first"), F.max("response_time").alias("last"))
    (span,) = rows.agg(*ends).toArrow().to_pylist()  # times with their zone, as `collect` has none
    whole = inferences(context, loop, batch, span["first"] - MOMENT)
    said = whole.where(F.col("response_time") <= F.lit(span["last"]))
    mark = watermarks(context).get(batch.id)
    over = mark and mark - question_of(loop, loop.outcome).rule.patience
    closed = F.lit(False) if over is None else F.col("response_time") <= F.lit(over)
    (found,) = said.agg(F.count_if(closed).alias("closed"), F.count(F.lit(1)).alias("n")).collect()
    return float(found["closed"] / found["n"])
