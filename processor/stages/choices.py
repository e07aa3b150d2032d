"""The part of `compile` that chooses the rows of a version, and says whether they will do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.datasets import supervised
from processor.datasets.chain import Cells, counted
from processor.datasets.split import group
from processor.datasets.weights import ALL, effective_rows
from processor.feedback.outcomes import KNOWN, PLACE, first_by
from processor.feedback.question import question_of
from processor.feedback.rule import KNOWN_BY
from processor.feedback.standing import latest, latest_or_late
from processor.loops import LoopConfig
from processor.measurements import INSUFFICIENT, OVERALL, Measurement, dataset_metric
from processor.stages import enrichment
from processor.stages.base import Context, watermarks
from processor.stages.committee import with_committee
from processor.stages.misbehaving import marked
from processor.stages.soft_labels import SoftLabels, relabelled, soft_labels
from processor.stages.sources import inferences, ledger
from processor.tables import DATASETS
from processor.warehouse import Warehouse

FULL = "full"


@dataclass(frozen=True)
class Parent:
    """The version before: its name and batch; None and 0 where there is none."""

    version: str | None
    batch_id: int


class Candidates(NamedTuple):
    """What a version is chosen from, as `supervised.candidates` gives it, and how it was fitted.

    All responded after `since`; `changes` are the rows of the ledger since the parent version.
    """

    frame: DataFrame
    since: datetime | None
    changes: DataFrame
    fit: Mapping[str, float]
    confusion: Mapping[str, float]


@dataclass(frozen=True)
class Choice:
    """The decided outcomes of one dataset, and their counts; all responded after `since`.

    `candidates` are cached until `release`; `labels` counts what is kept, by label, and `dropped`
    what is not, by reason; `effective` is by split and for all, empty where nothing was kept;
    `fresh` counts the rows whose outcome became known or changed since the parent version.
    `likeliest` is the largest probability with which a candidate was chosen.
    `fit` says how labels were fitted, and `confusion` how each rater does, where they were.
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
    fresh: int
    fit: Mapping[str, float]
    confusion: Mapping[str, float]
    likeliest: float

    @property
    def kept(self) -> int:
        """How many rows the version has."""
        return sum(self.labels.values())

    @property
    def reaches_back_to(self) -> int:
        """The batch after which everything is news to the version; 0: all that was ever read."""
        return 0 if self.recipe.config.mode == FULL else self.parent.batch_id

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
        return f"{found:.1f} effective rows of {self.kept}, fewer than min_effective {least:g}"

    def measured(self) -> Measurement:
        """The effective rows, INSUFFICIENT where they are too few for a version."""
        refusal, found = self.refusal, self.effective.get(ALL, 0.0)
        return replace(
            self.measurement("effective_rows", self.kept, found),
            effective_n=found,
            verdict=INSUFFICIENT if refusal else None,
            reason=refusal,
        )

    def measurement(self, what: str, n: int, value: float) -> Measurement:
        """Something that the version is judged by, without a verdict."""
        return Measurement(
            loop=self.loop.loop,
            model_name=self.loop.model,
            model_version=OVERALL,
            metric=dataset_metric(self.recipe.config.name, what),
            slice=OVERALL,
            window="batch",
            n=n,
            value=value,
        )

    def release(self) -> None:
        """Lets go of what is cached."""
        self.candidates.unpersist()


def choose(context: Context, batch: Batch, loop: LoopConfig, recipe: supervised.Recipe) -> Choice:
    """Decides on keys alone which outcomes become rows; nothing is written."""
    parent = parent_of(context.warehouse, batch.id, recipe.config.name)
    asked = candidates(context, batch, loop, recipe, parent)
    found = asked.frame.persist()
    given = chances(found, recipe)
    decided = supervised.decide(found, given)
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
    fresh = labels.total()
    if fresh and recipe.config.mode == FULL:
        fresh = chosen.join(asked.changes, "inference_id", "left_semi").count()
    told = (labels, dropped, effective, fresh, asked.fit, asked.confusion)
    likeliest = max(given.values(), default=0.0)
    return Choice(loop, recipe, parent, asked.since, found, decided, *told, likeliest)


def candidates(
    context: Context, batch: Batch, loop: LoopConfig, recipe: supervised.Recipe, parent: Parent
) -> Candidates:
    """The outcomes that a version is chosen from, with the labels that its recipe wants."""
    since = _since(context, loop, recipe, parent)
    changes = _changes(context, batch, loop, recipe, parent, since)
    news = _news(context, batch, loop, recipe, changes, since)
    soft: SoftLabels | None = None
    if recipe.config.labels is not None:
        soft = soft_labels(context, loop, batch)
        news = relabelled(news, soft, loop.outcome.positive)
    keys = keys_of(context, batch, loop, recipe, since)
    if recipe.config.mode != FULL and parent.version:
        # A day's news are of few of all that is not settled: Spark looks for those first.
        said = ledger(context, loop, batch, after=parent.batch_id)
        keys = keys.join(said.select("inference_id"), "inference_id", "left_semi")
    frame = supervised.candidates(news, keys, recipe, watermarks(context).get(batch.id))
    fitted = (soft.fit, soft.confusion) if soft else ({}, {})
    return Candidates(frame, since, changes, *fitted)


def _since(
    context: Context, loop: LoopConfig, recipe: supervised.Recipe, parent: Parent
) -> datetime | None:
    """What responded by then was settled for the parent already; None: nothing is left out."""
    if recipe.config.mode == FULL:
        return None
    mark = watermarks(context).get(parent.batch_id)
    return question_of(loop, loop.outcome).rule.horizon(mark)


def chances(found: DataFrame, recipe: supervised.Recipe) -> dict[Cells, float]:
    """With what probability the candidates that may be chosen are, by their cells."""
    return recipe.chain.allot(counted(found.where(F.col("refusal").isNull())))


def parent_of(warehouse: Warehouse, batch_id: int, dataset: str) -> Parent:
    """The version before one that `batch_id` makes."""
    earlier = warehouse.rows(
        DATASETS,
        as_of=batch_id - 1,
        columns=["version", "batch_id"],
        where=[("dataset", "=", dataset)],
    ).to_pylist()
    last = max(earlier, key=lambda row: row["batch_id"], default=None)
    return Parent(last["version"], last["batch_id"]) if last else Parent(None, 0)


def _news(
    context: Context,
    batch: Batch,
    loop: LoopConfig,
    recipe: supervised.Recipe,
    changes: DataFrame,
    since: datetime | None,
) -> DataFrame:
    """The last thing that became known of each inference since the parent version.

    For a full version, the last thing known of each; nothing where nothing is new. All responded
    after `since`.
    """
    if recipe.config.mode == FULL:
        changes = changes.limit(0) if changes.isEmpty() else ledger(context, loop, batch)
    news = _last(changes, recipe)
    if recipe.config.sources.misbehaving == "keep":
        return news
    return marked(context, loop, batch, news, since)


def _changes(
    context: Context,
    batch: Batch,
    loop: LoopConfig,
    recipe: supervised.Recipe,
    parent: Parent,
    since: datetime | None,
) -> DataFrame:
    """The rows of the ledger by which something became known, or changed, since the parent."""
    said = ledger(context, loop, batch, after=parent.batch_id)
    if not recipe.config.uses_late:
        return said.where(F.col("timing").isin(*KNOWN_BY))
    # What came late is held against all that was known, and may be no news.
    whole = ledger(context, loop, batch, since)
    touched = whole.join(said.select("inference_id").distinct(), "inference_id", "left_semi")
    last = _last(touched, recipe, "batch_id", "timing")
    return last.where(F.col("batch_id") > parent.batch_id)


def _last(said: DataFrame, recipe: supervised.Recipe, *names: str) -> DataFrame:
    last = latest_or_late if recipe.config.uses_late else latest
    return last(said, *KNOWN, "origins", "answered_at", *names)


def keys_of(
    context: Context,
    batch: Batch,
    loop: LoopConfig,
    recipe: supervised.Recipe,
    since: datetime | None,
) -> DataFrame:
    """What a version is decided on, of each inference that someone saw."""
    seen = inferences(context, loop, batch, since)
    said = with_committee(context, loop, batch, recipe.chain, seen, since).select(
        *("inference_id", "response_time", "training_allowed", "log_keep_prob"),
        group(recipe.config.split).alias("split_group"),
        *recipe.chain.reads(),
        *enrichment.asked(recipe.config.enrich),
        *PLACE,
    )
    return first_by(said, "inference_id").drop(*PLACE)
