"""Where every inference stands as of a batch: known, still open, or closed without an answer."""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.feedback.rule import KNOWN_BY, LATE, OUTSIDE, RETRACTED, TIED, Rule

KNOWN, CENSORED, UNKNOWN = "known", "censored", "unknown"


def latest(ledger: DataFrame, *names: str) -> DataFrame:
    """The last thing known of each inference: inference_id and the ledger's columns `names`."""
    last = F.max_by(F.struct(*names), F.col("batch_id")).alias("_last")
    said = ledger.where(F.col("timing").isin(*KNOWN_BY))
    return said.groupBy("inference_id").agg(last).select("inference_id", "_last.*")


def standing(
    inferences: DataFrame, ledger: DataFrame, rule: Rule, mark: datetime | None
) -> DataFrame:
    """How many inferences stand where: columns standing and n.

    Each is known, tied, censored, unknown or retracted; `late` and `outside` count those with
    such an answer, whatever else they are.
    `inferences`: inference_id, response_time, one row each; `mark` is the batch's watermark.
    """
    closes = F.col("response_time") + F.lit(rule.patience)
    is_open = F.lit(True) if mark is None else closes > F.lit(mark)
    state = F.col("state")
    stands = (
        F.when(state == RETRACTED, "retracted")
        .when(state == TIED, "tied")
        .when(state.isNotNull(), KNOWN)
        .when(is_open, CENSORED)
        .otherwise(UNKNOWN)
    )
    known = latest(ledger, "state")
    counted = (
        inferences.join(known, "inference_id", "left")
        .select(stands.alias("standing"))
        .groupBy("standing")
        .agg(F.count(F.lit(1)).alias("n"))
    )
    amiss = (
        ledger.where(F.col("timing").isin(LATE, OUTSIDE))
        .groupBy(F.lower("timing").alias("standing"))
        .agg(F.countDistinct("inference_id").alias("n"))
    )
    return counted.unionByName(amiss)
