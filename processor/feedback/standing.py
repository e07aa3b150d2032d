"""Where every inference stands as of a batch: known, still open, or closed without an answer."""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.feedback.outcomes import KNOWN_BY, LATE, OUTSIDE, RETRACTED, Rule

KNOWN, CENSORED, UNKNOWN = "known", "censored", "unknown"


def latest(ledger: DataFrame) -> DataFrame:
    """The last thing known of each inference: the ledger's columns, one row an inference."""
    names = [name for name in ledger.columns if name != "inference_id"]
    last = F.max_by(F.struct(*names), F.col("batch_id")).alias("_last")
    said = ledger.where(F.col("timing").isin(*KNOWN_BY))
    return said.groupBy("inference_id").agg(last).select("inference_id", "_last.*")


def standing(
    inferences: DataFrame, ledger: DataFrame, rule: Rule, mark: datetime | None
) -> DataFrame:
    """Inferences by where they stand: columns standing (known, censored, unknown, retracted,
    and late, outside for those with such an answer, whatever else they are) and n.

    `inferences`: inference_id, response_time, one row each; `mark` is the batch's watermark.
    """
    is_open = F.lit(True) if mark is None else rule.closes(F.col("response_time")) > F.lit(mark)
    state = F.col("state")
    stands = (
        F.when(state == RETRACTED, "retracted")
        .when(state.isNotNull(), KNOWN)
        .when(is_open, CENSORED)
        .otherwise(UNKNOWN)
    )
    known = latest(ledger).select("inference_id", "state")
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
