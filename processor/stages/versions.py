"""The part of `compile` that makes dataset versions from the outcomes that became known."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import reduce
from math import ceil
from typing import Any, NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.config import Config, LoopConfig, checked
from processor.datasets import formats, sampling, supervised
from processor.datasets.formats.base import Format
from processor.datasets.manifest import File, content_sha256, splits, text
from processor.datasets.sampling.base import Policy
from processor.datasets.split import SPLITS
from processor.datasets.store import Store
from processor.feedback.outcomes import PLACE, first_by
from processor.feedback.rule import KNOWN_BY
from processor.plugins import Registry
from processor.stages.base import Context, Writes, ranges_of
from processor.stages.sources import inferences, ledger
from processor.tables import DATASET_ROWS, DATASETS

ROWS_PER_FILE = 500_000
FOLDER = "dataset_files"
POLICIES: Registry[Policy] = Registry(sampling, "sampling policy")
FORMATS: Registry[Format] = Registry(formats, "dataset format")


class Source(NamedTuple):
    """One dataset of one loop, ready to be built."""

    loop: LoopConfig
    recipe: supervised.Recipe
    formats: tuple[Format, ...]


def recipes(config: Config) -> list[Source]:
    """Every dataset of every loop; raises ConfigError for an unknown policy, key or format."""
    return [
        Source(loop, _recipe(loop, number), tuple(FORMATS[name] for name in dataset.formats))
        for loop in config.loop.values()
        for number, dataset in enumerate(loop.datasets)
    ]


def _recipe(loop: LoopConfig, number: int) -> supervised.Recipe:
    dataset = loop.datasets[number]
    told = dict(dataset.sampling)
    where = f"the loop {loop.loop!r}, datasets.{number}.sampling"
    policy = POLICIES[str(told.pop("policy", "all"))]
    return supervised.Recipe(dataset, policy, checked(policy.params, told, where))


def build(context: Context, batch: Batch, writes: Writes, sources: Iterable[Source]) -> None:
    """Decides the rows of every version on keys, then fetches features and writes the files.

    The rows are committed first; the commit to `datasets` is what makes a version visible.
    """
    if not writes.pending(DATASET_ROWS) and not writes.pending(DATASETS):
        return
    decided = [(each, _decided(context, batch, each).persist()) for each in sources]
    try:
        if writes.pending(DATASET_ROWS):
            _write_rows(batch, writes, decided)
        versions = [row for each, rows in decided for row in _version(context, batch, each, rows)]
        writes.rows(DATASETS, versions)
    finally:
        for _, rows in decided:
            rows.unpersist()


def version_name(batch: Batch) -> str:
    """A version is called after the batch that made it, so that names sort by age."""
    return f"v{batch.id:06d}"


def _decided(context: Context, batch: Batch, source: Source) -> DataFrame:
    news = ledger(context, source.loop, batch).where(
        (F.col("batch_id") == batch.id) & F.col("timing").isin(*KNOWN_BY)
    )
    said = inferences(context, source.loop, batch).select(
        *("inference_id", "subject_key", "training_allowed", "log_keep_prob"),
        *PLACE,
    )
    keys = first_by(said, "inference_id").drop(*PLACE)
    outcomes = news.select("inference_id", "state", "value", "credit", "origins")
    return supervised.decide(outcomes, keys, source.recipe)


def _write_rows(batch: Batch, writes: Writes, decided: list[tuple[Source, DataFrame]]) -> None:
    frames = [
        rows.where(F.col("reason") == supervised.KEPT).select(
            "*",
            F.lit(batch.id).alias("batch_id"),
            F.lit(source.recipe.config.name).alias("dataset"),
            F.lit(version_name(batch)).alias("version"),
        )
        for source, rows in decided
    ]
    if frames:
        writes.frame(DATASET_ROWS, reduce(DataFrame.unionByName, frames))
    else:
        writes.rows(DATASET_ROWS)


def _version(
    context: Context, batch: Batch, source: Source, decided: DataFrame
) -> list[dict[str, Any]]:
    """The row of `datasets` for this version; none where nothing became known."""
    counts = {row["reason"]: row["count"] for row in decided.groupBy("reason").count().collect()}
    kept = counts.pop(supervised.KEPT, 0)
    if not kept:
        return []
    context.say(f"writing {source.recipe.config.name} {version_name(batch)}: {kept:,} rows")
    return [_published(context, batch, source, decided, kept, counts)]


def _published(
    context: Context,
    batch: Batch,
    source: Source,
    decided: DataFrame,
    kept: int,
    dropped: dict[str, int],
) -> dict[str, Any]:
    config = source.recipe.config
    said = inferences(context, source.loop, batch)
    numeric, categorical = supervised.feature_names(said)
    chosen = decided.where(F.col("reason") == supervised.KEPT)
    rows = supervised.rows(chosen, said, numeric, categorical)
    store = Store(context.warehouse.uri(FOLDER, config.name, version_name(batch)))
    schema_json = rows.drop("split").schema.json()
    files = _files(rows, store, source.formats, kept)
    balance = chosen.groupBy("label").count().collect()
    row = {
        "batch_id": batch.id,
        "loop": source.loop.loop,
        "dataset": config.name,
        "version": version_name(batch),
        "parent_version": _parent(context, batch, config.name),
        "kind": config.kind.upper(),
        "formats": [form.name for form in source.formats],
        "uri": store.uri,
        "manifest_uri": f"{store.uri}/manifest.json",
        "content_sha256": content_sha256(files, schema_json),
        "schema_json": schema_json,
        "row_count": kept,
        "splits": _split_totals(files, source.formats[0]),
        "dropped": sorted(dropped.items()),
        "quality": [(f"share.{b['label']}", b["count"] / kept) for b in balance],
        "seed": config.seed,
        "code_version": batch.code_version,
        "config_hash": batch.config_hash,
        "run_id": batch.run_id,
        "created_at": batch.planned_at,
    }
    store.finish(text(_manifest(context, batch, row, files, source)))
    return row


def _files(rows: DataFrame, store: Store, forms: tuple[Format, ...], kept: int) -> list[File]:
    """Files whose bytes depend on the rows alone: fixed partitioning, fixed order."""
    store.begin()
    parts = rows.repartition(ceil(kept / ROWS_PER_FILE), "inference_id")
    ordered = parts.sortWithinPartitions("split", "inference_id")
    found: list[File] = []
    for form in forms:
        form.write(ordered, f"{store.aside_uri}/_spark/{form.name}")
        found += store.collect(form, SPLITS)
    return found


def _split_totals(files: list[File], form: Format) -> list[dict[str, Any]]:
    """Rows and digest of each split, of the first format: the others hold the same rows."""
    first = [file for file in files if file.path.startswith(f"{form.name}/")]
    return [{k: v for k, v in one.items() if k != "files"} for one in splits(first)]


def _parent(context: Context, batch: Batch, dataset: str) -> str | None:
    earlier = context.warehouse.rows(
        DATASETS, as_of=batch.id - 1, columns=["version"], where=[("dataset", "=", dataset)]
    ).to_pylist()
    return max((row["version"] for row in earlier), default=None)


def _manifest(
    context: Context, batch: Batch, row: dict[str, Any], files: list[File], source: Source
) -> dict[str, Any]:
    kept = {k: v for k, v in row.items() if k not in ("uri", "manifest_uri", "run_id", "splits")}
    ranges = ranges_of(context.warehouse, batch.id)
    wanted = ("topic", "topic_id", "partition", "start_offset", "end_offset")
    return {
        **kept,
        "schema_json": None,
        "schema": json.loads(row["schema_json"]),
        "dropped": dict(row["dropped"]),
        "quality": dict(row["quality"]),
        "created_at": batch.planned_at.isoformat(),
        "columns": {
            "label": "label",
            "weight": "weight",
            "id": "inference_id",
            "subject": "subject_key",
            "time": "response_time",
        },
        "features": {"numeric": supervised.NUMERIC, "categorical": supervised.CATEGORICAL},
        "task": source.loop.task,
        "positive": source.loop.outcome.positive,
        "splits": splits([f for f in files if f.path.startswith(source.formats[0].name + "/")]),
        "files": {
            form.name: splits([f for f in files if f.path.startswith(f"{form.name}/")])
            for form in source.formats
        },
        "sources": [{name: r[name] for name in wanted} for r in ranges],
    }
