"""What a row stands for: its credit, by every probability that let it come so far."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

ALL = "all"
_EXACT = "decimal(38,18)"  # sums of these do not depend on the order of rows, as doubles' do


def weight(credit: Column, log_keep: Column, solicit: Column, inclusion: Column) -> Column:
    """Credit / (log_keep · solicit · inclusion), the divisors each a probability in (0, 1].

    `credit`: the share that the inference has of its answer. `log_keep`: the event was kept in
    the log. `solicit`: the answer was asked for; null is 1: an answer that came unasked, or of
    which nobody said, stands for itself alone. `inclusion`: the row was chosen for the dataset.
    """
    return credit / (log_keep * F.coalesce(solicit, F.lit(1.0)) * inclusion)


def effective_rows(rows: DataFrame, largest: Mapping[str, float]) -> dict[str, float]:
    """(Σw)² / Σw² of `rows` by split, and of all of them; `largest` is each split's largest weight.

    As `processor.weighting.effective_size`, in one aggregate, and the same to the last bit
    however the rows lie.
    """
    if not largest:
        return {}
    scale = F.create_map(*(F.lit(each) for pair in largest.items() for each in pair))
    w = F.col("weight") / scale[F.col("split")]
    sums = rows.groupBy("split").agg(
        F.sum(w.cast(_EXACT)).alias("w"), F.sum((w * w).cast(_EXACT)).alias("ww")
    )
    unit = {name: Decimal(weight) for name, weight in largest.items()}
    found = {
        row["split"]: (unit[row["split"]] * row["w"], unit[row["split"]] ** 2 * row["ww"])
        for row in sums.collect()
    }
    total, squares = (sum(each, Decimal(0)) for each in zip(*found.values(), strict=True))
    return {name: float(w * w / ww) for name, (w, ww) in {ALL: (total, squares), **found}.items()}
