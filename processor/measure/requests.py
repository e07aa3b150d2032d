"""What became of label requests: answered, expired, or still open. Pure."""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

ANSWERED, EXPIRED, OPEN = "answered", "expired", "open"
NAMES = (ANSWERED, EXPIRED, OPEN)
"""Where a request stands: exactly one of these."""


def standing(requests: DataFrame, answered: DataFrame, mark: datetime | None) -> DataFrame:
    """How many requests stand where as of a watermark (None before any): standing and n.

    Columns in: `requests` inference_id, expires_at; `answered` inference_id, those of which an
    answer is known. One that came after a request was void is an answer all the same.
    """
    void = F.lit(False) if mark is None else F.col("expires_at") <= F.lit(mark)
    told = answered.select("inference_id", F.lit(True).alias("_known"))
    stands = F.when(F.col("_known"), ANSWERED).when(void, EXPIRED).otherwise(OPEN)
    return (
        requests.join(told, "inference_id", "left")
        .groupBy(stands.alias("standing"))
        .agg(F.count(F.lit(1)).alias("n"))
    )
