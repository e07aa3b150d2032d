"""How stages see events: valid ones only, as of a batch, in the columns that decisions need."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.feedback import attribution
from processor.feedback.question import Question, question_of
from processor.loops import LoopConfig
from processor.stages.base import Context
from processor.tables import COORDINATES, OUTCOMES, TYPED


def valid(context: Context, table: str, batch: Batch) -> DataFrame:
    """Valid events as of `batch`, with their place, as `outcomes.PLACE` names it."""
    frame = context.frame(TYPED[table], batch).where(F.size("defects") == 0)
    place = (F.col("origin")[name].alias(name) for name in COORDINATES)
    return frame.select("*", F.col("origin")["batch_id"].alias("landed"), *place)


def inferences(context: Context, loop: LoopConfig, batch: Batch) -> DataFrame:
    """The loop's inferences that someone saw; `response_time` falls back to `event_time`."""
    return attribution.seen(valid(context, "inferences", batch), loop.model)


def answers(
    context: Context, loop: LoopConfig, question: Question, batch: Batch
) -> tuple[DataFrame, DataFrame | None]:
    """The answers to one question, each with the inference that it is about and its credit.

    Then the inferences whose shares may have changed in the batch; None where none is shared.
    """
    said = attribution.read(valid(context, question.signal.source, batch), question)
    seen = attribution.keyed(inferences(context, loop, batch), question)
    shares = attribution.moved(said, seen, batch.id) if question.level.shared else None
    return attribution.attribute(said, seen, question), shares


def ledger(context: Context, loop: LoopConfig, batch: Batch) -> DataFrame:
    """What the ledger says, as of `batch`, of the metric that the loop's datasets follow."""
    return said_of(context, loop, question_of(loop, loop.outcome), batch)


def said_of(context: Context, loop: LoopConfig, question: Question, batch: Batch) -> DataFrame:
    """What the ledger says, as of `batch`, of one metric of the loop."""
    whole = context.frame(OUTCOMES, batch)  # first: without its session there are no columns
    return whole.where((F.col("loop") == loop.loop) & (F.col("metric") == question.rule.metric))


def sliced(context: Context, rows: DataFrame, batch: Batch) -> DataFrame:
    """`rows` with `slices`: the protected attributes of their session, as last known."""
    known = valid(context, "sessions", batch)
    last = F.max_by("protected_attributes", F.struct("seq", "event_time", "batch_id", "offset"))
    by_session = known.groupBy("session_id").agg(last.alias("slices"))
    return rows.join(by_session, "session_id", "left")
