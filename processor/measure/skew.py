"""Features of one request that were worked out twice: how often and how far they differ. Pure.

What was served is held against what a shadow of the same request was given: a model that runs
beside the one that answers, or a job that works features out again and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from processor.loops import LoopConfig
from processor.measure.intervals import wilson
from processor.measurements import FEATURES, OVERALL, Measurement

SAME = 1e-9
"""Numbers that differ by no more than this share of the larger were added up in another order."""

METRIC = f"{FEATURES}skew"


def counted(served: DataFrame, shadows: DataFrame) -> DataFrame:
    """Of each feature that both have, how many values there are twice, and how many differ.

    Columns in: request_id, model_version, features_num, features_str, each inference once.
    Columns out: model_version (the shadow's), feature, n, differ, and apart: the median distance
    of the numbers that differ.
    """
    theirs = shadows.select(
        "request_id", "model_version", *(F.col(name).alias(f"_{name}") for name in _MAPS)
    )
    named = served.where(F.col("request_id") != "").select("request_id", *_MAPS)
    pairs = named.join(theirs, "request_id")
    both = F.concat(*(_compared(name) for name in _MAPS))
    return (
        pairs.select("model_version", F.explode(both).alias("one"))
        .select("model_version", "one.*")
        .groupBy("model_version", "feature")
        .agg(
            F.count(F.lit(1)).alias("n"),
            F.count_if("differs").alias("differ"),
            # A median, which does not depend on the order of rows as a sum of doubles does.
            F.median(F.when(F.col("differs"), F.col("distance"))).alias("apart"),
        )
    )


_MAPS = ("features_num", "features_str")


def _compared(name: str) -> Column:
    """The features that both maps have, each with whether and how far its values are apart."""
    mine, theirs = F.col(name), F.col(f"_{name}")

    def one(feature: Column) -> Column:
        differs, distance = _apart(mine[feature], theirs[feature], numbers=name == "features_num")
        return F.struct(
            feature.alias("feature"), differs.alias("differs"), distance.alias("distance")
        )

    return F.transform(F.array_intersect(F.map_keys(mine), F.map_keys(theirs)), one)


def _apart(one: Column, other: Column, *, numbers: bool) -> tuple[Column, Column]:
    """Whether two values differ, and by how much; texts have no distance."""
    if not numbers:
        return one != other, F.lit(None).cast("double")
    distance = F.abs(one - other)
    return distance > F.greatest(F.abs(one), F.abs(other)) * F.lit(SAME), distance


def skew(loop: LoopConfig, row: Mapping[str, Any]) -> Measurement:
    """The share of values that differ, with its 95 % interval; `effect` is the median distance."""
    low, high = wilson(row["differ"], row["n"])
    return Measurement(
        loop=loop.loop,
        model_name=loop.model,
        model_version=row["model_version"],
        metric=METRIC,
        slice=OVERALL,
        window="batch",
        n=row["n"],
        value=row["differ"] / row["n"],
        ci_low=low,
        ci_high=high,
        effect=row["apart"],
        feature=row["feature"],
    )
