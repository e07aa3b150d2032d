"""What had happened, and had been said, by a time: how a row is told of anything else. Pure.

A state counts from the later of two moments on: when it happened, by the clock of who says so, and
when it was said, by the time of its record on Kafka. What is told of the past afterwards was not
known then, and a model that is trained on it learns what it will not be told when it serves.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

ASKED = "asked"
"""What a row asks for, a struct: the `key` of whose state, as of when (`at`), and after when
(`oldest`) it must have happened."""

FUTURE = "future"
"""The check that no row is told of anything from after its time."""


def as_of(
    rows: DataFrame, states: DataFrame, order: Sequence[str], tolerance: timedelta
) -> DataFrame:
    """`rows` with the last state of their key that had happened, and had been said, by their time.

    One sort by key and time, however often a key is asked for; nobody's key is no key.

    Columns in: `rows` inference_id and ASKED; `states` key, event_time, said_at, and others.
    `order` names the columns by which the last is the last: event_time, and what breaks ties, so
    that no two states are equal. What was said up to `tolerance` after a time counts as said.
    Columns out: those of `rows`; `state`, a struct of all columns of `states` but the key, null
    where there is none; and `untimely`: whether a later state claims to have happened by then, and
    was not said by then.
    """
    own = Window.partitionBy("key", "alone").orderBy("at", F.col("row").isNotNull())
    before = own.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    asked = rows.select(
        F.col(ASKED)["key"].alias("key"),
        F.when(F.col(ASKED)["key"].isNull(), F.col("inference_id")).alias("alone"),
        F.col(ASKED)["at"].alias("at"),
        F.struct("*").alias("row"),
    )
    found = (
        asked.unionByName(_moments(states, order, tolerance), allowMissingColumns=True)
        .withColumns({"known": F.max("known").over(before), "told": F.max("told").over(before)})
        .where(F.col("row").isNotNull())
    )
    fresh, claims = (_recent(name) for name in ("known", "told"))
    return found.select(
        "row.*", fresh.alias("state"), (~claims.eqNullSafe(fresh)).alias("untimely")
    )


def is_future(tolerance: timedelta) -> Column:
    """Whether a row has a `state` from after its time, however it came by it; never null."""
    at, state = F.col(ASKED)["at"], F.col("state")
    happened, said = state["event_time"] > at, state["said_at"] - F.lit(tolerance) > at
    return F.coalesce(happened | said, F.lit(False))


def _moments(states: DataFrame, order: Sequence[str], tolerance: timedelta) -> DataFrame:
    """Each state at two moments: when it is `told` to have happened, and when it is `known`."""
    others = [name for name in states.columns if name not in (*order, "key")]
    state, nothing = F.col("state"), F.when(F.lit(False), F.col("state"))
    happened = state["event_time"]
    known_at = F.greatest(happened, state["said_at"] - F.lit(tolerance))
    moments = F.array(
        F.struct(happened.alias("at"), state.alias("told"), nothing.alias("known")),
        F.struct(known_at.alias("at"), nothing.alias("told"), state.alias("known")),
    )
    packed = states.select("key", F.struct(*order, *others).alias("state"))
    return packed.select("key", F.explode(moments).alias("_moment")).select("key", "_moment.*")


def _recent(name: str) -> Column:
    """A state, if it happened after the oldest moment that a row asks for."""
    return F.when(F.col(name)["event_time"] > F.col("row")[ASKED]["oldest"], F.col(name))
