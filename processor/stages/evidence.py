"""What past outcomes and answered requests say, as the sums that tuning decides on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.datasets.chain import Chain
from processor.datasets.tuning import Answered, Cells, Span, Spans, Sums
from processor.datasets.weights import weight
from processor.feedback.outcomes import PLACE, first_by
from processor.feedback.rule import KNOWN_BY, NEGATIVE, ON_TIME, POSITIVE, VALUE
from processor.loops import LoopConfig
from processor.stages.base import Context, watermarks
from processor.stages.committee import with_committee
from processor.stages.compile import rule_of
from processor.stages.sources import inferences, ledger, requests

ACCURACY, REWARD = "accuracy", "mean reward"
_SAID = ("state", "timing", "value", "reward", "solicit_prob", "batch_id")


class Counted(NamedTuple):
    """How many outcomes are known, and their effective number."""

    outcomes: int
    effective: float


class PastRequests(NamedTuple):
    """The requests of a batch, and the sums of their answers."""

    batch: int
    policy: str
    answered: Answered


def estimates(loop: LoopConfig) -> str:
    """What labels are to say: the accuracy, or of values that have no side, the mean reward."""
    return ACCURACY if rule_of(loop).positive is not None else REWARD


def known(context: Context, loop: LoopConfig, batch: Batch, chains: Sequence[Chain]) -> DataFrame:
    """Every outcome that is known as of the batch, and what was known before it changed.

    Columns out: inference_id, known_by (a batch), until (the batch from which on it
    is something else; null: it is still so), in_time, y, w, and cells: for each chain an array.
    """
    whole = Chain(tuple(link for each in chains for link in each.links))
    seen = with_committee(context, loop, batch, whole, inferences(context, loop, batch))
    said = seen.select(*("inference_id", "pred_label", "log_keep_prob"), *whole.reads(), *PLACE)
    first = first_by(said, "inference_id").drop(*PLACE)
    of_each = Window.partitionBy("inference_id").orderBy("batch_id")
    truth = (
        ledger(context, loop, batch)
        .where(F.col("timing").isin(*KNOWN_BY))
        .select("inference_id", *_SAID, F.lead("batch_id").over(of_each).alias("until"))
    )
    mark, one = watermarks(context).get(batch.id), F.lit(1.0)
    named = first.join(truth, "inference_id").withColumns(
        {"label": F.col("value"), "watermark": F.lit(mark).cast("timestamp")}
    )
    sides = [F.col(name) == loop.outcome.positive for name in ("label", "pred_label")]
    right = F.when(F.col("pred_label").isNotNull(), sides[0].eqNullSafe(sides[1]).cast("double"))
    found = named.where(F.col("state").isin(POSITIVE, NEGATIVE, VALUE)).select(
        *("inference_id", "until"),
        F.col("batch_id").alias("known_by"),
        (F.col("timing") == ON_TIME).alias("in_time"),
        (right if estimates(loop) == ACCURACY else F.col("reward")).alias("y"),
        weight(one, F.col("log_keep_prob"), F.col("solicit_prob"), one).alias("w"),
        F.array(*(each.cells() for each in chains)).alias("cells"),
    )
    return found.where(F.col("y").isNotNull())


def _still(outcomes: DataFrame) -> DataFrame:
    return outcomes.where(F.col("until").isNull())


def counted(outcomes: DataFrame) -> Counted:
    """How much the outcomes of `known` say that are still so."""
    (row,) = (
        _still(outcomes)
        .agg(
            F.count(F.lit(1)).alias("n"),
            (F.sum("w") ** 2 / F.sum(F.col("w") ** 2)).alias("effective"),
        )
        .collect()
    )
    return Counted(row["n"], row["effective"] or 0.0)


def a_batch(context: Context, loop: LoopConfig, batch: Batch) -> float:
    """How many inferences somebody saw of a batch, known or not; of batches that had any."""
    seen = inferences(context, loop, batch).select("inference_id", "batch_id")
    first = seen.groupBy("inference_id").agg(F.min("batch_id").alias("batch_id"))
    (row,) = first.agg(
        F.count(F.lit(1)).alias("n"), F.countDistinct("batch_id").alias("batches")
    ).collect()
    return row["n"] / row["batches"] if row["n"] else 0.0


def sums(outcomes: DataFrame, chains: int) -> list[Cells]:
    """Those that are still so, by the cells of each of the first `chains`."""
    found: list[dict[tuple[str, ...], Sums]] = [{} for _ in range(chains)]
    told = _still(outcomes).select(
        "*", F.posexplode(F.slice("cells", 1, chains)).alias("chain", "of")
    )
    for row in told.groupBy("chain", "of").agg(*_sums()).collect():
        found[row["chain"]][tuple(row["of"])] = Sums(row["w"], row["wy"], row["wyy"])
    return list(found)


def by_span(outcomes: DataFrame, chains: range) -> list[Spans]:
    """The outcomes of `known` by when they were so, then by the cells of each of these chains."""
    found: list[dict[Span, dict[tuple[str, ...], Sums]]] = [{} for _ in chains]
    mine = F.slice("cells", chains.start + 1, len(chains))
    told = outcomes.select("known_by", "until", "w", "y", F.posexplode(mine).alias("chain", "of"))
    for row in told.groupBy("chain", "known_by", "until", "of").agg(*_sums()).collect():
        cells = found[row["chain"]].setdefault(Span(row["known_by"], row["until"]), {})
        cells[tuple(row["of"])] = Sums(row["w"], row["wy"], row["wyy"])
    return list(found)


def _sums() -> list[Column]:
    w, y = F.col("w"), F.col("y")
    return [F.sum(w).alias("w"), F.sum(w * y).alias("wy"), F.sum(w * y**2).alias("wyy")]


def past_requests(
    context: Context, loop: LoopConfig, batch: Batch, outcomes: DataFrame
) -> list[PastRequests]:
    """The requests of each batch so far, with what came of them."""
    made = requests(context, batch.id)
    if made is None:
        return []
    answers = _still(outcomes).where("in_time").select("inference_id", "y")
    mine = made.where(F.col("loop") == loop.loop).join(answers, "inference_id", "left")
    once = F.when(F.col("y").isNotNull(), 1 / F.col("inclusion_prob"))
    y = F.col("y")
    figures = {
        "asked": F.count(F.lit(1)),
        "answered": F.count("y"),
        "inferences": F.sum(1 / F.col("inclusion_prob")),
        "w": F.sum(once),
        "wy": F.sum(once * y),
        "wyy": F.sum(once * y**2),
        "ww": F.sum(once**2),
        "wwy": F.sum(once**2 * y),
        "wwyy": F.sum(once**2 * y**2),
    }
    told = (F.coalesce(figure, F.lit(0)).alias(name) for name, figure in figures.items())
    rows = mine.groupBy("batch_id", "policy").agg(*told).orderBy("batch_id").collect()
    return [
        PastRequests(row["batch_id"], row["policy"], Answered(*(row[n] for n in Answered._fields)))
        for row in rows
    ]
