"""Where every inference stands as of a batch: known, still open, or closed without an answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.feedback.rule import KNOWN_BY, LATE, OUTSIDE, RETRACTED, TIED, Rule

KNOWN, CENSORED, UNKNOWN = "known", "censored", "unknown"


def latest(ledger: DataFrame, *names: str) -> DataFrame:
    """The last thing known of each inference: inference_id and the ledger's columns `names`."""
    last = F.max_by(F.struct(*names), F.col("batch_id")).alias("_last")
    said = ledger.where(F.col("timing").isin(*KNOWN_BY))
    together = said.repartition("inference_id").groupBy("inference_id")  # as in `first_by`
    return together.agg(last).select("inference_id", "_last.*")


def latest_or_late(ledger: DataFrame, *names: str) -> DataFrame:
    """As `latest`; but an answer that came late is known too, if it happened after what was."""
    told, timing = F.struct(*names, F.col("answered_at").alias("_at")), F.col("timing")
    in_time = F.when(timing.isin(*KNOWN_BY), F.col("batch_id"))
    too_late = F.when(timing == LATE, F.struct("answered_at", "batch_id"))
    found = (
        ledger.repartition("inference_id")
        .groupBy("inference_id")
        .agg(F.max_by(told, in_time).alias("_last"), F.max_by(told, too_late).alias("_late"))
    )
    last, late = F.col("_last"), F.col("_late")
    # Silence, and nothing known, have no time: whatever came counts for more.
    is_last = late.isNotNull() & F.coalesce(late["_at"] > last["_at"], F.lit(True))
    counts = F.when(is_last, late).otherwise(last)
    chosen = found.withColumn("_last", counts).where(F.col("_last").isNotNull())
    return chosen.select("inference_id", "_last.*").drop("_at")


def telling(*, late: bool) -> tuple[str, ...]:
    """The timings of the rows of the ledger that something can be known by."""
    return (*KNOWN_BY, LATE) if late else KNOWN_BY


def deciding(said: Iterable[Mapping[str, Any]], *, late: bool) -> Mapping[str, Any] | None:
    """As `latest` or `latest_or_late`, of the rows of one inference: the one that counts.

    Rows have batch, timing and answered_at.
    """
    rows = list(said)
    in_time = [row for row in rows if row["timing"] in KNOWN_BY]
    last = max(in_time, key=lambda row: row["batch"], default=None)
    too_late = [row for row in rows if late and row["timing"] == LATE]
    after = max(too_late, key=lambda row: (row["answered_at"], row["batch"]), default=None)
    if after is None:
        return last
    at = last and last["answered_at"]
    return after if at is None or after["answered_at"] > at else last


@dataclass(frozen=True)
class AsOf:
    """A batch, and the watermark as of it; None before any."""

    batch_id: int
    mark: datetime | None


def standing(inferences: DataFrame, ledger: DataFrame, rule: Rule, *asked: AsOf) -> DataFrame:
    """How many inferences stand where as of each batch asked for: batch_id, standing and n.

    Each is known, tied, censored, unknown or retracted; `late` and `outside` count those with
    such an answer, whatever else they are.
    `inferences`: inference_id, response_time, batch_id, one row each; `ledger` as `latest`.
    """
    return reduce(DataFrame.unionByName, (_standing(inferences, ledger, rule, at) for at in asked))


def _standing(inferences: DataFrame, ledger: DataFrame, rule: Rule, at: AsOf) -> DataFrame:
    said, told = (rows.where(F.col("batch_id") <= at.batch_id) for rows in (inferences, ledger))
    closes = F.col("response_time") + F.lit(rule.patience)
    is_open = F.lit(True) if at.mark is None else closes > F.lit(at.mark)
    state = F.col("state")
    stands = (
        F.when(state == RETRACTED, "retracted")
        .when(state == TIED, "tied")
        .when(state.isNotNull(), KNOWN)
        .when(is_open, CENSORED)
        .otherwise(UNKNOWN)
    )
    counted = (
        said.join(latest(told, "state"), "inference_id", "left")
        .select(stands.alias("standing"))
        .groupBy("standing")
        .agg(F.count(F.lit(1)).alias("n"))
    )
    amiss = (
        told.where(F.col("timing").isin(LATE, OUTSIDE))
        .groupBy(F.lower("timing").alias("standing"))
        .agg(F.countDistinct("inference_id").alias("n"))
    )
    return counted.unionByName(amiss).withColumn("batch_id", F.lit(at.batch_id))
