"""Features that are not what their definitions say: counts by Spark, and shares of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from processor.loops import LoopConfig
from processor.measure.definitions import Span
from processor.measure.intervals import wilson
from processor.measurements import FEATURES, OVERALL, Measurement

KINDS = ("out_of_range", "not_allowed", "missing")

_SPANS = (
    "start timestamp, end timestamp, features array<struct<"
    "name: string, low: double, high: double, allowed: array<string>, required: boolean>>"
)


def counted(inferences: DataFrame, spans: Sequence[Span]) -> DataFrame:
    """How many values of each feature are not as they were defined when they were served.

    Columns in: model_version, event_time, features_num, features_str, features_vec. Columns out:
    model_version, feature, and of each of `KINDS` how many there are and could be (`<kind>_of`).
    """
    told = inferences.sparkSession.createDataFrame(list(spans), _SPANS)
    at = F.col("event_time")
    valid = (at >= F.col("start")) & (F.col("end").isNull() | (at < F.col("end")))
    # Judged before rows are multiplied: the maps of features are not.
    judged = inferences.join(F.broadcast(told), valid).select(
        "model_version", F.explode(F.transform("features", _judged)).alias("one")
    )
    counts = (
        column
        for kind in KINDS
        for column in (
            F.count_if(F.col("one")[kind]).alias(kind),
            F.count(F.col("one")[kind]).alias(f"{kind}_of"),
        )
    )
    return judged.groupBy("model_version", F.col("one")["feature"].alias("feature")).agg(*counts)


def _judged(told: Column) -> Column:
    """Whether a feature is each of `KINDS`; null where it cannot be."""
    name, low, high, allowed = (told[each] for each in ("name", "low", "high", "allowed"))
    number, text = (F.try_element_at(each, name) for each in ("features_num", "features_str"))
    vector = F.try_element_at("features_vec", name)
    nowhere = number.isNull() & text.isNull() & vector.isNull()
    off = F.coalesce(number < low, F.lit(False)) | F.coalesce(number > high, F.lit(False))
    bound = number.isNotNull() & (low.isNotNull() | high.isNotNull())
    listed = text.isNotNull() & (F.size(allowed) > 0)
    return F.struct(
        name.alias("feature"),
        F.when(bound, off).alias("out_of_range"),
        F.when(listed, ~F.array_contains(allowed, text)).alias("not_allowed"),
        F.when(told["required"], nowhere).alias("missing"),
    )


def shares(loop: LoopConfig, row: Mapping[str, Any]) -> Iterator[Measurement]:
    """The share of each kind, with its 95 % interval; none where no value could be of it."""
    for kind in KINDS:
        hits, n = row[kind], row[f"{kind}_of"]
        if n == 0:
            continue
        low, high = wilson(hits, n)
        yield Measurement(
            loop=loop.loop,
            model_name=loop.model,
            model_version=row["model_version"],
            metric=f"{FEATURES}{kind}",
            slice=OVERALL,
            window="batch",
            n=n,
            value=hits / n,
            ci_low=low,
            ci_high=high,
            feature=row["feature"],
        )
