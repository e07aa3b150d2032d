"""The part of `compile` that chooses the rows of a version, and says whether they will do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.datasets import supervised
from processor.datasets.chain import counted
from processor.datasets.split import group
from processor.datasets.weights import ALL, effective_rows
from processor.feedback.outcomes import PLACE, first_by
from processor.feedback.question import question_of
from processor.feedback.standing import latest
from processor.loops import LoopConfig
from processor.measurements import INSUFFICIENT, OVERALL, Measurement
from processor.stages.base import Context, watermarks
from processor.stages.misbehaving import marked
from processor.stages.sources import inferences, ledger
from processor.tables import DATASETS


@dataclass(frozen=True)
class Parent:
    """The version before: its name and batch; None and 0 where there is none."""

    version: str | None
    batch_id: int


@dataclass(frozen=True)
class Choice:
    """The decided outcomes of one dataset, and their counts; all responded after `since`.

    `candidates` are cached until `release`; `labels` counts what is kept, by label, and `dropped`
    what is not, by reason; `effective` is by split and for all, empty where nothing was kept.
    """

    loop: LoopConfig
    recipe: supervised.Recipe
    parent: Parent
    since: datetime | None
    candidates: DataFrame
    decided: DataFrame
    labels: Mapping[str, int]
    dropped: Mapping[str, int]
    effective: Mapping[str, float]

    @property
    def kept(self) -> int:
        """How many rows the version has."""
        return sum(self.labels.values())

    @property
    def chosen(self) -> DataFrame:
        """The rows of the version."""
        return self.decided.where(F.col("reason") == supervised.KEPT)

    @property
    def refusal(self) -> str | None:
        """Why this must not become a version."""
        found, least = self.effective.get(ALL, 0.0), self.recipe.chain.min_effective
        if found >= least:
            return None
        return (
            f"{found:.1f} effective rows of {self.kept}, fewer than min_effective {least:g}: "
            "no version; they are chosen from again with the next batch"
        )

    def measured(self) -> Measurement:
        """The effective rows, INSUFFICIENT where they are too few for a version."""
        refusal = self.refusal
        return Measurement(
            loop=self.loop.loop,
            model_name=self.loop.model,
            model_version=OVERALL,
            metric=f"dataset.{self.recipe.config.name}.effective_rows",
            slice=OVERALL,
            window="batch",
            n=self.kept,
            value=self.effective.get(ALL, 0.0),
            effective_n=self.effective.get(ALL, 0.0),
            verdict=INSUFFICIENT if refusal else None,
            reason=refusal,
        )

    def release(self) -> None:
        """Lets go of what is cached."""
        self.candidates.unpersist()


def choose(context: Context, batch: Batch, loop: LoopConfig, recipe: supervised.Recipe) -> Choice:
    """Decides on keys alone which outcomes become rows; nothing is written."""
    parent = _parent(context, batch, recipe.config.name)
    marks = watermarks(context)
    since = question_of(loop, loop.outcome).rule.horizon(marks.get(parent.batch_id))
    news = _news(context, batch, loop, recipe, parent)
    keys = _keys(inferences(context, loop, batch, since), recipe)
    found = supervised.candidates(news, keys, recipe, marks.get(batch.id)).persist()
    open_to_choice = found.where(F.col("refusal").isNull())
    decided = supervised.decide(found, recipe.chain.allot(counted(open_to_choice)))
    counts = decided.groupBy("reason", "split", "label").agg(
        F.count(F.lit(1)).alias("n"), F.max("weight").alias("largest")
    )
    labels, dropped, largest = Counter[str](), Counter[str](), dict[str, float]()
    for row in counts.collect():
        if row["reason"] == supervised.KEPT:
            labels[row["label"]] += row["n"]
            largest[row["split"]] = max(largest.get(row["split"], 0.0), row["largest"])
        else:
            dropped[row["reason"]] += row["n"]
    chosen = decided.where(F.col("reason") == supervised.KEPT)
    effective = effective_rows(chosen, largest)
    return Choice(loop, recipe, parent, since, found, decided, labels, dropped, effective)


def _parent(context: Context, batch: Batch, dataset: str) -> Parent:
    earlier = context.warehouse.rows(
        DATASETS,
        as_of=batch.id - 1,
        columns=["version", "batch_id"],
        where=[("dataset", "=", dataset)],
    ).to_pylist()
    last = max(earlier, key=lambda row: row["batch_id"], default=None)
    return Parent(last["version"], last["batch_id"]) if last else Parent(None, 0)


def _news(
    context: Context, batch: Batch, loop: LoopConfig, recipe: supervised.Recipe, parent: Parent
) -> DataFrame:
    """The last thing that became known of each inference since the parent version."""
    since = ledger(context, loop, batch).where(F.col("batch_id") > parent.batch_id)
    wanted = ("state", "value", "reward", "credit", "origins", "answered_at")
    news = latest(since, *wanted).withColumn("solicit_prob", _solicit_prob())
    if recipe.config.sources.misbehaving == "keep":
        return news
    return marked(context, loop, batch, news)


def _solicit_prob() -> Column:
    """The probability with which the answer was asked for: outcomes do not say it yet."""
    return F.lit(None).cast("double")


def _keys(said: DataFrame, recipe: supervised.Recipe) -> DataFrame:
    keys = said.select(
        *("inference_id", "response_time", "training_allowed", "log_keep_prob"),
        group(recipe.config.split).alias("split_group"),
        *recipe.chain.reads(),
        *PLACE,
    )
    return first_by(keys, "inference_id").drop(*PLACE)
