"""How stages see events: valid ones only, as of a batch, in the columns that decisions need."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.config import LoopConfig
from processor.feedback.outcomes import PLACE
from processor.stages.base import Context
from processor.tables import COORDINATES, TYPED

CREDITED_ROLES = ("PRIMARY", "CANARY")
"""Roles whose outputs someone saw; a shadow's output is never credited with an answer."""


def valid(context: Context, table: str, batch: Batch) -> DataFrame:
    """Valid events as of `batch`, with their place, as `outcomes.PLACE` names it."""
    frame = context.frame(TYPED[table], batch).where(F.size("defects") == 0)
    place = (F.col("origin")[name].alias(name) for name in COORDINATES)
    return frame.select("*", F.col("origin")["batch_id"].alias("landed"), *place)


def inferences(context: Context, loop: LoopConfig, batch: Batch) -> DataFrame:
    """The loop's inferences that someone saw; `response_time` falls back to `event_time`."""
    return (
        valid(context, "inferences", batch)  # first: without its session there are no columns
        .where(F.col("model_name") == loop.model)
        .where(F.col("role").isin(*CREDITED_ROLES) & (F.col("status") == "OK"))
        .withColumn("response_time", F.coalesce("response_time", "event_time"))
    )


def answers(context: Context, loop: LoopConfig, batch: Batch) -> DataFrame:
    """The events that answer the loop's question, each with its value as text."""
    return (
        valid(context, loop.outcome.source, batch)
        .where((F.col("metric") == loop.outcome.metric) & F.col("inference_id").isNotNull())
        .select(
            "inference_id",
            "event_id",
            "event_time",
            value().alias("value"),
            "op",
            "supersedes",
            *PLACE,
        )
    )


def value() -> Column:
    """What an answer says, as text: its string, boolean or number, whichever it has."""
    return F.coalesce(
        F.col("value_str"), F.col("value_bool").cast("string"), F.col("value_num").cast("string")
    )


def sliced(context: Context, rows: DataFrame, batch: Batch) -> DataFrame:
    """`rows` with `slices`: the protected attributes of their session, as last known."""
    known = valid(context, "sessions", batch)
    last = F.max_by("protected_attributes", F.struct("seq", "event_time", "batch_id", "offset"))
    by_session = known.groupBy("session_id").agg(last.alias("slices"))
    return rows.join(by_session, "session_id", "left")
