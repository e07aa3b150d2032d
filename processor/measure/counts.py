"""Counts that measurements are made of, by Spark: mergeable, so nothing is read twice. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from processor.measurements import OVERALL

PROBABILITY_FLOOR = 2.220446049250313e-16
"""Probabilities are kept this far from 0 and 1, as scikit-learn keeps doubles."""


class Window(NamedTuple):
    """`[start, end)` over inference time; `batch` rows are those that the batch made known."""

    name: str
    start: datetime | None
    end: datetime | None


def slices(columns: Sequence[str]) -> Column:
    """The slices of a row: everybody, and `name=value` for each name that has a value."""
    named = [F.concat(F.lit(f"{name}="), F.col("slices")[name]) for name in columns]
    return F.filter(F.array(F.lit(OVERALL), *named), lambda one: one.isNotNull())


def quality(
    known: DataFrame, windows: Sequence[Window], by: Sequence[str], positive: str
) -> DataFrame:
    """Confusion counts and log-loss sums by model version, window and slice.

    Columns in: model_version, response_time, is_new, label, pred_label, class_probs, slices, and
    weight, as `processor.measure.weighted` means it.
    Columns out: model_version, window, slice, n, tp, fp, fn, tn, log_loss_sum, log_loss_sq_sum,
    log_loss_n, and weighted: a struct as `WeightedCounts`, null where every weight is 1.
    """
    hit, said = F.col("label") == positive, F.col("pred_label") == positive
    given = F.col("class_probs")[F.col("label")]
    kept = F.least(F.greatest(given, F.lit(PROBABILITY_FLOOR)), F.lit(1 - PROBABILITY_FLOOR))
    loss = F.when(given.isNotNull(), -F.log(kept))  # least and greatest pass over a null
    cells = {"tp": hit & said, "fp": ~hit & said, "fn": hit & ~said, "tn": ~hit & ~said}
    return (
        known.where(F.col("pred_label").isNotNull())
        .select("*", F.explode(windows_of(windows)).alias("window"))
        .select("*", F.explode(slices(by)).alias("slice"))
        .groupBy("model_version", "window", "slice")
        .agg(
            F.count(F.lit(1)).alias("n"),
            *(F.count_if(cell).alias(name) for name, cell in cells.items()),
            F.sum(loss).alias("log_loss_sum"),
            F.sum(loss * loss).alias("log_loss_sq_sum"),
            F.count(loss).alias("log_loss_n"),
            _weighted(cells, loss).alias("weighted"),
        )
    )


def _weighted(cells: Mapping[str, Column], loss: Column) -> Column:
    w = F.col("weight")
    told = F.when(loss.isNotNull(), w)
    sums = {
        **{f"w_{name}": F.when(cell, w) for name, cell in cells.items()},
        **{f"ww_{name}": F.when(cell, w * w) for name, cell in cells.items()},
        "w_said": told,
        "ww_said": told * w,
        "w_loss": w * loss,
        "ww_loss": w * w * loss,
        "ww_loss_sq": w * w * loss * loss,
    }
    summed = (F.coalesce(F.sum(each), F.lit(0.0)).alias(name) for name, each in sums.items())
    return F.when(F.count_if(w != 1) > 0, F.struct(*summed))


def windows_of(windows: Sequence[Window]) -> Column:
    """The names of the windows that a row is in, by its columns is_new and response_time."""

    def inside(window: Window) -> Column:
        if window.start is None:
            return F.when(F.col("is_new"), F.lit(window.name))
        time = F.col("response_time")
        within = (time >= F.lit(window.start)) & (time < F.lit(window.end))
        return F.when(within, F.lit(window.name))

    return F.filter(F.array(*map(inside, windows)), lambda one: one.isNotNull())


def categories(events: DataFrame) -> DataFrame:
    """How often each value of each categorical feature occurs: model_version, feature, bin, n."""
    return (
        events.select("model_version", F.explode("features_str").alias("feature", "bin"))
        .where(F.col("bin").isNotNull())
        .groupBy("model_version", "feature", "bin")
        .agg(F.count(F.lit(1)).alias("n"))
    )


def bins(events: DataFrame, edges: Mapping[str, Sequence[float]]) -> DataFrame:
    """How often each bin of each numeric feature with edges occurs: as `categories`.

    The bin of a value is the number of edges that are no larger than it.
    """
    counted = events.select("model_version", F.explode("features_num").alias("feature", "value"))
    known = F.create_map(
        *(
            part
            for name, cuts in edges.items()
            for part in (F.lit(name), F.array(*map(F.lit, cuts)).cast("array<double>"))
        )
    )
    below = F.filter(F.col("_edges"), lambda edge: edge <= F.col("value"))
    return (
        counted.where(F.col("feature").isin(list(edges)) & ~F.isnan("value"))
        .withColumn("_edges", known[F.col("feature")])
        .groupBy("model_version", "feature", F.size(below).cast("string").alias("bin"))
        .agg(F.count(F.lit(1)).alias("n"))
    )
