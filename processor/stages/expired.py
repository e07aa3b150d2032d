"""The part of `compile` that gives up on answers of which nothing can come any more.

An answer to an inference that has not landed waits for it, as long as it could still be recorded.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.feedback import attribution
from processor.feedback.question import Question
from processor.loops import LoopConfig
from processor.stages.base import Context, watermarks
from processor.stages.sources import may_be_recent, valid, valid_since
from processor.tables import COORDINATES

ORPHAN = "orphan"
TOO_LATE = "too_late"
MEANING = {
    ORPHAN: "what it is about has not landed before the answer's time was over",
    TOO_LATE: "it landed when everything that it could be about was settled",
}


def expired(
    context: Context, loop: LoopConfig, question: Question, batch: Batch
) -> DataFrame | None:
    """The answers to a question whose time is over by the batch, each in one batch only.

    None where no answer's time is ever over (`outcome.late`), or none is yet. An answer's time is
    over when an inference of its own moment is settled. What it is about may be of any model, and
    is looked for as far back as an answer of its moment could be recorded.
    Columns out: those of the table `expired`.
    """
    marks = watermarks(context)
    now, before = (question.rule.horizon(marks.get(n)) for n in (batch.id, batch.id - 1))
    if now is None:
        return None
    events = valid(context, question.signal.source, batch, may_be_recent(before, batch))
    is_new, at = F.col("batch_id") == batch.id, F.col("event_time")
    in_time = F.lit(True) if before is None else at > F.lit(before)
    due = attribution.read(events.where((at <= F.lit(now)) & (is_new | in_time)), question)
    # What is looked for may have had answers that were recorded, of a moment after `before`.
    since = question.rule.horizon(before)
    inferences = valid_since(context, "inferences", batch, since, "response_time", "event_time")
    known = inferences.select(F.col(question.level.key).alias("target"))
    orphans = due.where(in_time).join(known, "target", "left_anti")
    told = _told(orphans, ORPHAN).unionByName(_told(due.where(~in_time), TOO_LATE))
    return told.select(
        F.lit(batch.id).alias("batch_id"),
        F.lit(loop.loop).alias("loop"),
        F.lit(question.rule.metric).alias("metric"),
        F.lit(question.signal.source).alias("table"),
        "*",
    )


def _told(answers: DataFrame, reason: str) -> DataFrame:
    origin = F.struct(F.col("landed").alias("batch_id"), *COORDINATES)
    return answers.select(
        F.lit(reason).alias("reason"),
        "event_id",
        "event_time",
        F.col("target").alias("about"),
        origin.alias("origin"),
    )
