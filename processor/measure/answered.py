"""How long answers took, and how long inferences were seen: counts by Spark. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from processor.feedback.rule import NEGATIVE, ON_TIME, POSITIVE, VALUE, Rule
from processor.measure.delay import ANSWERED, BINS, SEEN

_MOMENT = timedelta(microseconds=1)  # what times are counted in


def delays(inferences: DataFrame, known: DataFrame, mark: datetime, rule: Rule) -> DataFrame:
    """Inferences and answers by parts of the window: `processor.measure.delay` says which.

    At a watermark an inference is seen up to `grace` before it: what happened by then had its time
    to be reported, and an answer after it is not counted yet. Nor is one that ties or was taken
    back: nothing is known by it.
    Columns in: `inferences` inference_id, response_time, one row each; `known` inference_id,
    state, timing, answered_at: the last thing known of each.
    Columns out: by (SEEN or ANSWERED), is_open, part, n, answered, positive; at most four rows a
    part.
    """
    span = max(rule.window // _MOMENT, 1)
    joined = inferences.join(known, "inference_id", "left").withColumns(
        {
            "_seen": F.unix_micros(F.lit(mark - rule.grace)) - F.unix_micros("response_time"),
            "_took": F.unix_micros("answered_at") - F.unix_micros("response_time"),
        }
    )
    # Whole numbers all the way: a double has too few digits for microseconds of years.
    parts = joined.where(F.col("_seen") >= 0).select(
        F.expr(f"least(_seen, {span}) * {BINS} div {span}").cast("int").alias("_seen"),
        F.when(_says(), F.expr(f"(_took * {BINS} + {span - 1}) div {span}")).alias("_took"),
        (F.col("state") == POSITIVE).alias("_positive"),
    )
    answered = F.coalesce(F.col("_took") <= F.col("_seen"), F.lit(False))
    places = (_place(SEEN, F.col("_seen")), F.when(answered, _place(ANSWERED, F.col("_took"))))
    told = parts.select(
        (F.col("_seen") < BINS).alias("is_open"),
        answered.alias("_answered"),
        (answered & F.col("_positive")).alias("_positive"),
        F.inline(F.array_compact(F.array(*places))),
    )
    return told.groupBy("by", "is_open", "part").agg(
        F.count(F.lit(1)).alias("n"),
        F.count_if("_answered").alias("answered"),
        F.count_if("_positive").alias("positive"),
    )


def _says() -> Column:
    said = F.col("state").isin(POSITIVE, NEGATIVE, VALUE)
    return said & (F.col("timing") == ON_TIME)


def _place(by: str, part: Column) -> Column:
    return F.struct(F.lit(by).alias("by"), part.cast("int").alias("part"))
