"""Supervised rows: the features that were served, and the label that became known. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from processor.config import DatasetConfig
from processor.datasets.draws import draw
from processor.datasets.sampling.base import Policy
from processor.datasets.split import split

KEPT = "kept"
NUMERIC, CATEGORICAL = "num.", "str."
"""Prefixes of feature columns, by what they hold: doubles, or text."""


@dataclass(frozen=True)
class Recipe:
    """A dataset's configuration, with its policy found and its parameters checked."""

    config: DatasetConfig
    policy: Policy
    params: Any

    @property
    def salt(self) -> str:
        """What makes this dataset's draws its own."""
        return f"{self.config.name}|{self.config.seed}"


def decide(outcomes: DataFrame, inferences: DataFrame, recipe: Recipe) -> DataFrame:
    """Whether each outcome becomes a row, and with what weight; on keys alone.

    Columns in: `outcomes` inference_id, state, value, credit, origins; `inferences` inference_id,
    subject_key, training_allowed, log_keep_prob.
    Columns out: inference_id, label, origins, reason (`kept`, or why not), split,
    inclusion_prob, weight = credit / (log_keep_prob * inclusion_prob).
    """
    joined = outcomes.join(inferences, "inference_id")
    allowed = joined.withColumn("_why", _refusal())
    sampled = allowed.withColumn("inclusion_prob", recipe.policy.inclusion(allowed, recipe.params))
    subject = F.coalesce("subject_key", "inference_id")
    kept = draw(F.col("inference_id"), f"sample|{recipe.salt}") < F.col("inclusion_prob")
    return sampled.select(
        "inference_id",
        F.col("value").alias("label"),
        "origins",
        F.coalesce("_why", F.when(kept, KEPT).otherwise("not_sampled")).alias("reason"),
        split(subject, recipe.config.split, recipe.salt).alias("split"),
        "inclusion_prob",
        (F.col("credit") / (F.col("log_keep_prob") * F.col("inclusion_prob"))).alias("weight"),
    )


def _refusal() -> Column:
    return (
        F.when(F.col("state") == "RETRACTED", "retracted")
        .when(F.col("value").isNull(), "no_label")
        .when(~F.col("training_allowed"), "training_not_allowed")
    )


def feature_names(inferences: DataFrame) -> tuple[list[str], list[str]]:
    """Names of the numeric and of the categorical features that occur, sorted."""

    def names(of: str) -> Column:
        return F.array_sort(F.array_distinct(F.flatten(F.collect_set(F.map_keys(of)))))

    row = inferences.agg(names("features_num").alias("num"), names("features_str").alias("str"))
    found = row.collect()[0]
    return list(found["num"] or ()), list(found["str"] or ())


def rows(
    decided: DataFrame, inferences: DataFrame, numeric: Sequence[str], categorical: Sequence[str]
) -> DataFrame:
    """The rows of a version, one column a feature: features are fetched for kept rows only.

    The first of a row's `origins` is its inference's; an event that was sent twice has two.
    """
    columns = [
        *(F.col("features_num")[name].alias(f"{NUMERIC}{name}") for name in numeric),
        *(F.col("features_str")[name].alias(f"{CATEGORICAL}{name}") for name in categorical),
    ]
    own = F.element_at("origins", 1)
    names = {"landed": "batch_id", "topic": "topic", "partition": "partition", "offset": "offset"}
    placed = decided.select("*", *(own[of].alias(name) for name, of in names.items()))
    return placed.join(inferences, ["inference_id", *names]).select(
        "inference_id",
        "request_id",
        "subject_key",
        "model_name",
        "model_version",
        "response_time",
        *columns,
        "label",
        "split",
        "inclusion_prob",
        "weight",
    )
