"""Leakage: held-out rows that have a twin in an earlier split. Pure, on the rows of a version.

Splits are ordered train, validation, test. A row of a later one leaks by `subject` when a row of
an earlier one has its subject; `exact`, when one has the same features and label (equal 64-bit
hashes); `near`, when one has a text of at least the configured Jaccard similarity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F

from processor.datasets import minhash
from processor.datasets.split import SPLITS
from processor.loops import LeakageConfig

EXAMPLES = 5  # pairs named for each check
SHINGLE_WORDS = 3
BUCKET_TEXTS = 100
"""Texts of a key that later ones are compared with: a phrase that all share may hide some twins,
but not make every two texts a pair."""

_KEYED = "place int, inference_id string, rows long, shingles array<string>, keys array<long>"


def twins(rows: DataFrame, features: Sequence[str], config: LeakageConfig) -> DataFrame:
    """What leaks. Columns in: inference_id, subject_key, label, split, the features.

    Columns out: check, inference_id and its twin (the first of each), rows that leak with it.
    """
    place = F.array_position(F.array(*map(F.lit, SPLITS)), F.col("split")).cast("int")
    placed = rows.withColumn("place", place)
    found = [
        _crossing(placed, F.col("subject_key"), "subject"),
        _crossing(placed, _content(features), "exact"),
    ]
    if text := [name for name in config.text if name in rows.columns]:
        found.append(_near(placed, text, config.similarity))
    return reduce(DataFrame.unionByName, found)


def summary(found: DataFrame) -> DataFrame:
    """For each check that found any: how many rows leak, and the first pairs."""
    first = Window.partitionBy("check").orderBy("inference_id", "twin")
    pair = F.when(F.row_number().over(first) <= EXAMPLES, F.struct("inference_id", "twin"))
    return (
        found.withColumn("pair", pair)
        .groupBy("check")
        .agg(F.sum("rows").alias("rows"), F.sort_array(F.collect_list("pair")).alias("pairs"))
    )


def report(found: Iterable[Row], held_out: int, config: LeakageConfig) -> dict[str, Any]:
    """What the manifest says of each check, also of those that found nothing."""
    told = {row["check"]: row for row in found}
    checks = ("subject", "exact", *(["near"] if config.text else []))
    return {check: _said(told.get(check), held_out) for check in checks}


def refusals(told: Mapping[str, Any], config: LeakageConfig) -> dict[str, str]:
    """Why the version may not be used: a sentence for each check whose limit is exceeded."""
    return {
        check: f"{told[check]['rows']} held-out rows leak by {check} "
        f"({told[check]['share']:.4f} of them, {limit} are allowed), "
        f"such as {' and '.join(told[check]['examples'][0])}"
        for check, limit in config.limits.items()
        if told[check]["share"] > limit
    }


def _said(row: Row | None, held_out: int) -> dict[str, Any]:
    leaked = row["rows"] if row else 0
    pairs = [[pair["inference_id"], pair["twin"]] for pair in row["pairs"]] if row else []
    return {"rows": leaked, "share": leaked / held_out if leaked else 0.0, "examples": pairs}


def _crossing(placed: DataFrame, key: Column, check: str) -> DataFrame:
    """One row a key that is in several splits; its rows outside the first of them leak."""
    least = [F.min(F.when(F.col("place") == n, F.col("inference_id"))) for n in (1, 2, 3)]
    grouped = (
        placed.where(key.isNotNull())
        .groupBy(key.alias("key"))
        .agg(
            F.min("place").alias("first"),
            F.max("place").alias("last"),
            *(least[n].alias(f"id_{n + 1}") for n in range(3)),
            *(F.count_if(F.col("place") == n).alias(f"n_{n}") for n in (2, 3)),
        )
        .where(F.col("first") < F.col("last"))
    )
    in_train = F.col("first") == 1
    return grouped.select(
        F.lit(check).alias("check"),
        F.when(in_train, F.coalesce("id_2", "id_3")).otherwise(F.col("id_3")).alias("inference_id"),
        F.coalesce("id_1", "id_2").alias("twin"),
        (F.col("n_3") + F.when(in_train, F.col("n_2")).otherwise(0)).alias("rows"),
    )


def _content(features: Sequence[str]) -> Column:
    """A hash of features and label; null where no feature is there, for nothing is no content."""
    columns = [quoted(name) for name in features]
    if not columns:
        return F.lit(None).cast("long")
    # A null does not change Spark's hash, so whether one is there is hashed too.
    whole = F.xxhash64(*columns, *(column.isNull() for column in columns), F.col("label"))
    return F.when(F.coalesce(*(column.cast("string") for column in columns)).isNotNull(), whole)


def quoted(name: str) -> Column:
    """The column of exactly this name: features are called as producers like."""
    return F.col(f"`{name.replace('`', '``')}`")


def _near(placed: DataFrame, text: Sequence[str], similarity: float) -> DataFrame:
    """Each text of a later split with the first of an earlier one that it resembles."""
    texts = _texts(placed, text)
    in_bucket = Window.partitionBy("key").orderBy("place", "inference_id")
    keyed = texts.select("*", F.posexplode("keys").alias("band", "key")).withColumn(
        "key", F.struct("band", "key")
    )
    some = keyed.withColumn("number", F.row_number().over(in_bucket)).where(
        F.col("number") <= BUCKET_TEXTS
    )
    one, other = keyed.alias("one"), some.alias("other")
    same_key = F.col("one.key") == F.col("other.key")
    pairs = one.join(other, same_key & (F.col("other.place") < F.col("one.place")))
    shared = F.size(F.array_intersect("one.shingles", "other.shingles"))
    either = F.size(F.array_union("one.shingles", "other.shingles"))
    return (
        pairs.where(shared / either >= similarity)
        .groupBy("one.place", "one.inference_id")
        .agg(F.min("other.inference_id").alias("twin"), F.first("one.rows").alias("rows"))
        .select(F.lit("near").alias("check"), "inference_id", "twin", "rows")
    )


def _texts(placed: DataFrame, text: Sequence[str]) -> DataFrame:
    """The different texts of each split: the first row that has one, how many do, and its keys."""
    whole = F.concat_ws(" ", *(quoted(name) for name in text))
    words = F.filter(F.split(F.lower(whole), r"\s+"), lambda word: word != "")
    different = (
        placed.select("place", "inference_id", words.alias("words"))
        .where(F.size("words") > 0)
        .groupBy("place", "words")
        .agg(F.min("inference_id").alias("inference_id"), F.count("*").alias("rows"))
    )
    shingled = different.select("place", "inference_id", "rows", _shingles().alias("shingles"))
    hashes = F.transform("shingles", _hashed).alias("keys")
    return shingled.select("*", hashes).mapInArrow(_keyed, _KEYED)


def _hashed(shingle: Column) -> Column:
    return F.xxhash64(shingle)  # Spark takes no function of any number of arguments


def _shingles() -> Column:
    """Every few words in a row, once; a shorter text is one shingle."""
    last = F.greatest(F.size("words") - SHINGLE_WORDS, F.lit(0))
    starts = F.sequence(F.lit(1), last + 1)
    return F.array_distinct(
        F.transform(starts, lambda start: F.concat_ws(" ", F.slice("words", start, SHINGLE_WORDS)))
    )


def _keyed(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    for batch in batches:
        number = batch.schema.get_field_index("keys")
        yield batch.set_column(number, "keys", minhash.keys(batch.column(number)))
