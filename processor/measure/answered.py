"""How long answers took, and how long inferences were seen: counts by Spark. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from processor.measure.delay import ANSWERED, BINS, SEEN

_MOMENT = timedelta(microseconds=1)  # what times are counted in


def delays(inferences: DataFrame, until: datetime, window: timedelta) -> DataFrame:
    """Inferences and answers by parts of the window: `processor.measure.delay` says which.

    All are seen up to `until`: an answer after it is not counted yet, and what responded after it
    is not seen. Columns in: response_time, answered_at (null without an answer that counts, else
    in the window) and positive, one row an inference. Columns out: by (SEEN or ANSWERED), is_open,
    part, n, answered, positive; at most three rows a part.
    """
    span = max(window // _MOMENT, 1)
    timed = inferences.withColumns(
        {
            "_seen": F.unix_micros(F.lit(until)) - F.unix_micros("response_time"),
            "_took": F.unix_micros("answered_at") - F.unix_micros("response_time"),
        }
    )
    # Whole numbers all the way: a double has too few digits for microseconds of years.
    parts = timed.where(F.col("_seen") >= 0).select(
        F.expr(f"least(_seen, {span}) * {BINS} div {span}").cast("int").alias("_seen"),
        F.expr(f"(_took * {BINS} + {span - 1}) div {span}").cast("int").alias("_took"),
        "positive",
    )
    answered = F.coalesce(F.col("_took") <= F.col("_seen"), F.lit(False))
    places = (_place(SEEN, F.col("_seen")), F.when(answered, _place(ANSWERED, F.col("_took"))))
    told = parts.select(
        (F.col("_seen") < BINS).alias("is_open"),
        answered.alias("_answered"),
        (answered & F.col("positive")).alias("_positive"),
        F.inline(F.array_compact(F.array(*places))),
    )
    return told.groupBy("by", "is_open", "part").agg(
        F.count(F.lit(1)).alias("n"),
        F.count_if("_answered").alias("answered"),
        F.count_if("_positive").alias("positive"),
    )


def _place(by: str, part: Column) -> Column:
    return F.struct(F.lit(by).alias("by"), part.alias("part"))
