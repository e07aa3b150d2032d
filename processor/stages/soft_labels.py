"""The part of `compile` that has a dataset's labels from a fit to the votes of all raters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.datasets.supervised import LABEL_PROB
from processor.errors import ConfigError, DataRefused
from processor.feedback.dawid_skene import Fit, Votes, coded, fit
from processor.feedback.question import Question, question_of
from processor.feedback.rule import NEGATIVE, POSITIVE, TIED
from processor.loops import DatasetConfig, LoopConfig
from processor.stages.base import Context
from processor.stages.ratings import votes

MOST_VOTES = 2_000_000
"""Votes that the driver takes, some 500 MB of them; more are refused."""
MOST_CELLS = 10_000_000
"""Raters x labels x labels."""
MOST_RATERS = 1000
"""Raters whose confusion a manifest names: those with the most votes."""
DIGITS = 6
"""Of probabilities: the last bits of logarithms differ among processors, files must not."""
UNNAMED = ""
"""Raters who give no name are taken for one: one vote alone says nothing of who gave it."""

_FITTED = pa.schema(
    [("inference_id", pa.string()), ("_label", pa.string()), (LABEL_PROB, pa.float64())]
)


class SoftLabels(NamedTuple):
    """The label of each rated inference, null for a tie, and the probability of the positive one.

    `fit` and `confusion` are figures by name; `frame` has inference_id, _label, LABEL_PROB.
    """

    frame: DataFrame
    fit: Mapping[str, float]
    confusion: Mapping[str, float]


def check(loop: LoopConfig, dataset: DatasetConfig) -> None:
    """Raises ConfigError where a dataset wants fitted labels, and no value is the positive one."""
    if dataset.labels is not None and question_of(loop, loop.outcome).rule.positive is None:
        raise ConfigError(
            f"the dataset {dataset.name}: no value of {loop.outcome.metric!r} is positive, so "
            "`label_prob` would be the probability of nothing",
            remedy="give the outcome a `threshold`, or leave `labels` out",
        )


def soft_labels(context: Context, loop: LoopConfig, batch: Batch) -> SoftLabels:
    """The fit to every vote that is known as of the batch.

    Raises:
        DataRefused: there are more votes, or raters and labels, than the driver takes.
    """
    question = question_of(loop, loop.outcome)
    said = _said(context, loop, question, batch)
    if not said.num_rows:
        return SoftLabels(context.spark.createDataFrame(_FITTED.empty_table()), {}, {})
    units, unit = coded(said["inference_id"].to_pylist())
    raters, rater = coded(said["rater"].to_pylist())
    labels, label = coded(said["label"].to_pylist())
    _refuse_large(question, len(raters) * len(labels) ** 2, MOST_CELLS, "raters x labels x labels")
    found = fit(Votes(unit, rater, label))
    frame = context.spark.createDataFrame(_table(found, units, labels, question))
    figures = {"votes": len(unit), "raters": len(raters), "steps": found.steps}
    figures["settled"] = int(found.settled)
    most = np.argsort(-np.bincount(rater), kind="stable")[:MOST_RATERS]
    confusion = dict(_confusion(found, [(n, raters[n]) for n in sorted(most)], labels))
    return SoftLabels(frame, {f"dawid_skene.{k}": float(v) for k, v in figures.items()}, confusion)


def relabelled(news: DataFrame, soft: SoftLabels, positive: str) -> DataFrame:
    """What became known, with the fitted label wherever an inference was rated; and LABEL_PROB.

    Columns in: inference_id, state, value, reward, and others, which stay.
    """
    label = F.col("_label")
    side = F.when(label == positive, POSITIVE).when(label.isNotNull(), NEGATIVE).otherwise(TIED)
    rated = F.col(LABEL_PROB).isNotNull()
    return (
        news.join(soft.frame, "inference_id", "left")
        .withColumn("state", F.when(rated, side).otherwise(F.col("state")))
        .withColumn("value", F.when(rated, label).otherwise(F.col("value")))
        .withColumn("reward", F.coalesce("reward", LABEL_PROB))
        .drop("_label")
    )


def _said(context: Context, loop: LoopConfig, question: Question, batch: Batch) -> pa.Table:
    """Every vote, in an order of its own: the fit is the same to the last bit."""
    vote = F.col("vote")
    frame = votes(context, loop, question, batch).select(
        "inference_id", F.explode("votes").alias("vote")
    )
    named = frame.select(
        "inference_id",
        F.coalesce(vote["rater"], F.lit(UNNAMED)).alias("rater"),
        vote["value"].alias("label"),
    )
    found: pa.Table = named.limit(MOST_VOTES + 1).toArrow()
    _refuse_large(question, found.num_rows, MOST_VOTES, "votes")
    return found.sort_by([(name, "ascending") for name in found.column_names])


def _refuse_large(question: Question, found: int, most: int, of: str) -> None:
    if found > most:
        raise DataRefused(
            f"Dawid-Skene labels of {question.rule.metric!r}: more than {most:,} {of}",
            remedy="use `consensus: {rule: weighted}` of the outcome, and leave `labels` out",
        )


def _table(found: Fit, units: list[str], labels: list[str], question: Question) -> pa.Table:
    names = [labels[best] if best >= 0 else None for best in found.best()]
    positive = question.rule.positive
    if positive in labels:
        chance = found.posterior[:, labels.index(str(positive))]
    else:
        chance = np.zeros(len(units))
    return pa.table([units, names, chance.round(DIGITS)], schema=_FITTED)


def _confusion(
    found: Fit, raters: list[tuple[int, str]], labels: list[str]
) -> Iterator[tuple[str, float]]:
    """How often each rater says what of each label."""
    for number, rater in raters:
        for t, true in enumerate(labels):
            for s, said in enumerate(labels):
                name = f"dawid_skene.{rater}.{true}.{said}"
                yield name, round(float(found.confusion[number, t, s]), DIGITS)
