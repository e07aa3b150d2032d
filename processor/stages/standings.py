"""The part of `measure` that says where the inferences of a loop stand.

What was settled stands where it stood: only what a batch can have news of is counted, once as of
the batch and once as of the one before, and the difference is added to what was measured then.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.feedback.outcomes import PLACE, first_by
from processor.feedback.standing import CENSORED, KNOWN, UNKNOWN, AsOf, standing
from processor.loops import LoopConfig
from processor.measurements import OVERALL, Measurement
from processor.stages.base import Context, ranges_of, watermarks
from processor.stages.compile import rule_of
from processor.stages.sources import inferences, ledger
from processor.tables import MEASUREMENTS

METRIC = "outcomes."  # what the names of these measurements begin with
WINDOW = "all"
TOO_OLD = "too_old"
STANDINGS = (KNOWN, "tied", CENSORED, UNKNOWN, "retracted")
NAMES = (*STANDINGS, "late", "outside", TOO_OLD)


class Measured(NamedTuple):
    """What was measured last, and as of which batch; 0 where nothing was."""

    batch_id: int
    counts: Counter[str]


def standings(context: Context, loop: LoopConfig, batch: Batch) -> list[Measurement]:
    """How many inferences are known, too early to know, unknown for good, late or outside.

    `too_old` are those that landed after they were settled: no answer reaches them.
    """
    counts = _counts(context, loop, batch)
    total = sum(counts[name] for name in STANDINGS)
    return [
        Measurement(
            loop=loop.loop,
            model_name=loop.model,
            model_version=OVERALL,
            metric=f"{METRIC}{name}",
            slice=OVERALL,
            window=WINDOW,
            n=counts[name],
            value=counts[name] / total if total else None,
        )
        for name in NAMES
    ]


def _counts(context: Context, loop: LoopConfig, batch: Batch) -> Counter[str]:
    last, marks = measured(context, loop, batch, METRIC), watermarks(context)
    rule = rule_of(loop)
    since = rule.horizon(marks.get(last.batch_id))
    said = inferences(context, loop, batch, since)
    each = first_by(said.select("inference_id", "response_time", *PLACE), "inference_id")
    asked = [AsOf(number, marks.get(number)) for number in (batch.id, last.batch_id) if number]
    counted = standing(each, ledger(context, loop, batch, since), rule, *asked)
    if since is not None:
        landed = inferences(context, loop, batch, after=last.batch_id)
        counted = counted.unionByName(_too_old(landed, since))
    found = Counter(last.counts)
    for row in counted.collect():
        found[row["standing"]] += row["n"] if row["batch_id"] > last.batch_id else -row["n"]
    return found


def _too_old(landed: DataFrame, since: datetime) -> DataFrame:
    settled = landed.where(F.col("response_time") <= since)
    return settled.groupBy(F.lit(TOO_OLD).alias("standing")).agg(
        F.max("batch_id").alias("batch_id"), F.countDistinct("inference_id").alias("n")
    )


def measured(context: Context, loop: LoopConfig, batch: Batch, prefix: str) -> Measured:
    """What earlier measurements with that prefix say; nothing under another configuration."""
    rows = context.warehouse.rows(
        MEASUREMENTS,
        as_of=batch.id - 1,
        columns=["batch_id", "metric", "n"],
        where=[("loop", "=", loop.loop), ("window", "=", WINDOW)],
    ).to_pylist()
    mine = [row for row in rows if row["metric"].startswith(prefix)]
    number = max((row["batch_id"] for row in mine), default=0)
    hashes = {row["config_hash"] for row in ranges_of(context.warehouse, number)}
    if hashes != {batch.config_hash}:
        return Measured(0, Counter())
    names = {
        row["metric"].removeprefix(prefix): row["n"] for row in mine if row["batch_id"] == number
    }
    return Measured(number, Counter(names))
