"""How often two raters of one inference say what: few counts of many ratings, by Spark. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from processor.measure.counts import Window, windows_of

PARTS = 256
"""Inferences are put into so many parts, by a hash of their names, for intervals to be made of."""
_EXACT = "decimal(38,18)"  # sums of these do not depend on the order of rows, as doubles' do


def coincidences(rated: DataFrame, windows: Sequence[Window]) -> DataFrame:
    """Pairs of ratings of one inference by two raters, by window, part and the values of both.

    Columns in: inference_id, response_time, is_new, ratings: an array of the values given.
    Columns out: window, part, one, other, weight, units. A pair of one of m ratings with another
    has the weight 1 / (m - 1), and is its share of its unit, so that `units` sums to the number
    of inferences with two ratings or more; one with a single rating has no pair.
    Source: K. Krippendorff, Computing Krippendorff's alpha-reliability (2011), section D.
    """
    placed = rated.select(
        *("inference_id", "ratings"),
        F.size("ratings").alias("m"),
        F.explode(windows_of(windows)).alias("window"),
    )
    ones = placed.select("*", F.posexplode("ratings").alias("_at", "one"))
    pairs = ones.select("*", F.posexplode("ratings").alias("_beside", "other"))
    m = F.col("m")
    return (
        pairs.where(F.col("_at") != F.col("_beside"))
        .groupBy("window", _part(F.col("inference_id")).alias("part"), "one", "other")
        .agg(_shares(m - 1).alias("weight"), _shares(m * (m - 1)).alias("units"))
    )


def _part(name: Column) -> Column:
    return F.pmod(F.xxhash64(name), F.lit(PARTS)).cast("int")


def _shares(of: Column) -> Column:
    return F.sum((F.lit(1.0) / of).cast(_EXACT)).cast("double")
