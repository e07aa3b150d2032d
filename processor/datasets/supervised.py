"""Supervised rows: the features that were served, and the label that became known. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from processor.datasets.as_of import ASKED
from processor.datasets.chain import Cells, Chain, with_chances
from processor.datasets.draws import draw
from processor.datasets.split import EMBARGO, split
from processor.datasets.weights import weight
from processor.loops import DatasetConfig

KEPT, NOT_SAMPLED = "kept", "not_sampled"
SOURCE = "source"  # why an answer is left out whose source was found misbehaving
NUMERIC, CATEGORICAL = "num.", "str."
"""Prefixes of feature columns, by what they hold: doubles, or text."""
SESSION = "session."
"""The prefix of columns that tell of the session, not served: text."""
LABEL_PROB = "label_prob"
"""The probability of the positive label, where a fit to raters' votes says it."""


@dataclass(frozen=True)
class Recipe:
    """A dataset's configuration, with its policies found and their parameters checked."""

    config: DatasetConfig
    chain: Chain

    @property
    def salt(self) -> str:
        """What makes this dataset's draws its own."""
        return f"{self.config.name}|{self.config.seed}"

    @property
    def sampling_salt(self) -> str:
        """What the draws that choose rows are made with."""
        return f"sample|{self.salt}"


def candidates(
    outcomes: DataFrame, inferences: DataFrame, recipe: Recipe, mark: datetime | None
) -> DataFrame:
    """Every outcome with its cells and its draw, and why it cannot become a row; on keys alone.

    Columns in: `outcomes` inference_id, state, value, reward, credit, solicit_prob, origins, and
    misbehaving (the source of the answer) where the recipe does not keep those; `inferences`
    inference_id, split_group, response_time, training_allowed, log_keep_prob, and
    what the policies read. Columns out: inference_id, label, origins, refusal (null for what can
    be chosen), split, cells, drawn, credit, log_keep_prob, solicit_prob. `mark` is the batch's
    watermark. LABEL_PROB and ASKED are handed on, here and below, where one of the two has them.
    """
    joined = outcomes.join(inferences, "inference_id")
    named = joined.withColumnRenamed("value", "label").withColumn(
        "watermark", F.lit(mark).cast("timestamp")
    )
    sided = named.withColumn("split", split(recipe.config.split, recipe.salt))
    return sided.select(
        *("inference_id", "label", "origins", *_handed_on(outcomes), *_handed_on(inferences)),
        _refusal(recipe).alias("refusal"),
        "split",
        recipe.chain.cells().alias("cells"),
        draw(F.col("inference_id"), recipe.sampling_salt).alias("drawn"),
        _trusted(recipe).alias("credit"),
        *("log_keep_prob", "solicit_prob"),
    )


def decide(found: DataFrame, chances: Mapping[Cells, float]) -> DataFrame:
    """Whether each of the `candidates` becomes a row, and with what weight.

    Columns out: inference_id, label, origins, reason (`kept`, or why not), split,
    inclusion_prob, weight: see `processor.datasets.weights`.
    """
    wanted = ("inference_id", "label", "origins", "reason", "split", "inclusion_prob", "weight")
    return weighed(found, chances).select(*wanted, *_handed_on(found))


def weighed(found: DataFrame, chances: Mapping[Cells, float]) -> DataFrame:
    """The `candidates` with reason, inclusion_prob and weight, beside what these follow from."""
    kept = F.col("drawn") < F.col("inclusion_prob")
    chain = ("log_keep_prob", "solicit_prob", "inclusion_prob")
    reason = F.coalesce("refusal", F.when(kept, KEPT).otherwise(NOT_SAMPLED))
    return with_chances(found, chances).withColumns(
        {"reason": reason, "weight": weight(F.col("credit"), *map(F.col, chain))}
    )


def _handed_on(frame: DataFrame) -> list[str]:
    return [name for name in (LABEL_PROB, ASKED) if name in frame.columns]


def _refusal(recipe: Recipe) -> Column:
    refusal = (
        F.when(F.col("state") == "RETRACTED", "retracted")
        .when(F.col("state") == "TIED", "tied")
        .when(F.col("label").isNull(), "no_label")
        .when(~F.col("training_allowed"), "training_not_allowed")
        .when(F.col("split").isNull(), EMBARGO)
    )
    if recipe.config.sources.misbehaving != "exclude":
        return refusal
    return refusal.when(F.col("misbehaving"), SOURCE)


def _trusted(recipe: Recipe) -> Column:
    """The credit, of which a down-weighted source's answer has a part."""
    told, credit = recipe.config.sources, F.col("credit")
    if told.misbehaving != "downweight":
        return credit
    return F.when(F.col("misbehaving"), credit * told.weight).otherwise(credit)


def feature_names(inferences: DataFrame) -> tuple[list[str], list[str]]:
    """Names of the numeric and of the categorical features that occur, sorted."""

    def names(of: str) -> Column:
        return F.array_sort(F.array_distinct(F.flatten(F.collect_set(F.map_keys(of)))))

    row = inferences.agg(names("features_num").alias("num"), names("features_str").alias("str"))
    found = row.collect()[0]
    return list(found["num"] or ()), list(found["str"] or ())


def allowed(
    names: Sequence[Sequence[str]], protected: Collection[str]
) -> tuple[list[list[str]], tuple[str, ...]]:
    """Groups of features without those that are protected; and these, sorted."""
    kept = [[name for name in group if name not in protected] for group in names]
    return kept, tuple(sorted({name for group in names for name in group if name in protected}))


def drawn_below(inferences: DataFrame, recipe: Recipe, likeliest: float) -> DataFrame:
    """The inferences that can have been chosen, where none was with more than this probability.

    Those that were are among them: so features need not be fetched of the others.
    """
    if likeliest >= 1:
        return inferences
    return inferences.where(draw(F.col("inference_id"), recipe.sampling_salt) < likeliest)


def rows(
    decided: DataFrame,
    inferences: DataFrame,
    numeric: Sequence[str],
    categorical: Sequence[str],
    session: Sequence[str] = (),
) -> DataFrame:
    """The rows of a version, one column a feature: features are fetched for kept rows only.

    `propensity` is as the inference logged it: how likely serving was to choose what it served.
    The first of a row's `origins` is its inference's; an event that was sent twice has two.
    `session` names the items of the column `session`, if there are any.
    """
    columns = [
        *(F.col("features_num")[name].alias(f"{NUMERIC}{name}") for name in numeric),
        *(F.col("features_str")[name].alias(f"{CATEGORICAL}{name}") for name in categorical),
        *(F.col("session")[n].alias(f"{SESSION}{name}") for n, name in enumerate(session)),
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
        *(name for name in _handed_on(decided) if name == LABEL_PROB),
        "propensity",
        "split",
        "inclusion_prob",
        "weight",
    )
