"""Where every inference stands as of a batch: known, still open, or closed without an answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import reduce

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
