"""The part of `compile` that tells rows of their session, as it was at their inference."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.datasets.as_of import ASKED, as_of, is_future
from processor.feedback.outcomes import PLACE, first_by
from processor.loops import ATTRIBUTE, EnrichConfig
from processor.stages.base import Context
from processor.stages.sources import valid_since
from processor.tables import COORDINATES

EXAMPLES = 5  # rows named
ORDER = ("event_time", "seq", *PLACE)
"""By which the last state of a session is the last."""


class Enriched(NamedTuple):
    """Rows with `session`, an array in the order of the configuration, and its origin.

    They are cached until `unpersist`; where nothing is asked for, they are as they were.
    `quality` has shares of them; `future` says how many are told of what came later.
    """

    rows: DataFrame
    quality: Mapping[str, float]
    future: Mapping[str, Any] | None


def asked(told: EnrichConfig) -> list[Column]:
    """What an inference asks for, as the column ASKED; no column for nothing."""
    if not told.session:
        return []
    named = F.when(F.col("session_id") != "", F.col("session_id"))
    oldest = F.col("response_time") - F.lit(told.max_age)
    at = F.col("event_time")
    return [F.struct(named.alias("key"), at.alias("at"), oldest.alias("oldest")).alias(ASKED)]


def enriched(
    context: Context,
    batch: Batch,
    told: EnrichConfig,
    chosen: DataFrame,
    since: datetime | None,
) -> Enriched:
    """The chosen rows, all of which responded after `since`, with what was known of their session.

    A state that allows no training says nothing.
    """
    if not told.session:
        return Enriched(chosen, {}, None)
    found = states(context, batch, told, since)
    joined = _traced(as_of(chosen, found, ORDER, told.tolerance)).persist()
    counts = joined.agg(
        F.count(F.lit(1)).alias("rows"),
        F.count("state").alias("known"),
        F.count_if("untimely").alias("untimely"),
        F.count_if(is_future(told.tolerance)).alias("future"),
    )
    (row,) = counts.collect()
    shares = {f"session.{name}": row[name] / row["rows"] for name in ("known", "untimely")}
    examples = _examples(joined, told) if row["future"] else []
    future = {"rows": row["future"], "share": row["future"] / row["rows"], "examples": examples}
    return Enriched(joined, shares, future)


def states(context: Context, batch: Batch, told: EnrichConfig, since: datetime | None) -> DataFrame:
    """Every state of a session that a row may be told of, once: `as_of` says which.

    An event that was sent twice counts once. Older than `max_age` before `since` is too old for
    any row.
    """
    heard = since and since - told.max_age
    said = valid_since(context, "sessions", batch, heard, "event_time")
    wanted = said.select(
        "event_id",
        F.col("session_id").alias("key"),
        *("event_time", "seq"),
        F.col("origin")["timestamp"].alias("said_at"),
        F.when(F.col("training_allowed"), F.array(*map(_value, told.session))).alias("session"),
        *PLACE,
    )
    return first_by(wanted, "event_id")


def refusal(future: Mapping[str, Any]) -> str | None:
    """Why a version may not be used, if a row of it is told of what came later."""
    if not future["rows"]:
        return None
    return (
        f"{future['rows']} rows are told what came after their inference, "
        f"such as {' by '.join(future['examples'][0])}"
    )


def _value(name: str) -> Column:
    if name.startswith(ATTRIBUTE):
        return F.col("attributes")[name.removeprefix(ATTRIBUTE)]
    return F.col(name)


def _traced(joined: DataFrame) -> DataFrame:
    """The values of the state, where it may be used, and its place in the log among the origins."""
    state = F.col("state")
    place = F.struct(state["landed"].alias("batch_id"), *(state[n].alias(n) for n in COORDINATES))
    used = state["session"].isNotNull()
    origins = F.when(used, F.concat("origins", F.array(place))).otherwise(F.col("origins"))
    return joined.withColumns({"origins": origins, "session": state["session"]})


def _examples(joined: DataFrame, told: EnrichConfig) -> list[list[str]]:
    """The first rows that are told of what came later, and by which event."""
    event = F.concat_ws("/", *(F.col("state")[name] for name in COORDINATES)).alias("event")
    first = joined.where(is_future(told.tolerance)).orderBy("inference_id").limit(EXAMPLES)
    return [list(row) for row in first.select("inference_id", event).collect()]
