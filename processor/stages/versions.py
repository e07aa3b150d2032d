"""The part of `compile` that makes dataset versions from the outcomes that became known."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import reduce
from typing import Any, NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.config import Config
from processor.datasets import formats, sampling, supervised
from processor.datasets.chain import chain
from processor.datasets.formats.base import Format
from processor.datasets.manifest import File, content_sha256, index, splits, text
from processor.datasets.sampling.base import Policy
from processor.datasets.store import Store
from processor.loops import LoopConfig
from processor.plugins import Registry
from processor.stages.base import Context, Writes, ranges_of
from processor.stages.choices import Choice, choose
from processor.stages.dataset_files import Laid, Written, lay, write
from processor.stages.soft_labels import check
from processor.stages.sources import inferences
from processor.tables import DATASET_ROWS, DATASETS, MEASUREMENTS

FOLDER = "dataset_files"
POLICIES: Registry[Policy] = Registry(sampling, "sampling policy")
FORMATS: Registry[Format] = Registry(formats, "dataset format")


class Source(NamedTuple):
    """One dataset of one loop, ready to be built."""

    loop: LoopConfig
    recipe: supervised.Recipe
    formats: tuple[Format, ...]


class Version(NamedTuple):
    """A version that is decided and laid out, ready to be written."""

    source: Source
    choice: Choice
    laid: Laid


def recipes(config: Config) -> list[Source]:
    """Every dataset of every loop; raises ConfigError for an unknown policy, key or format."""
    return [
        Source(loop, _recipe(loop, number), tuple(FORMATS[name] for name in dataset.formats))
        for loop in config.loop.values()
        for number, dataset in enumerate(loop.datasets)
    ]


def _recipe(loop: LoopConfig, number: int) -> supervised.Recipe:
    dataset = loop.datasets[number]
    check(loop, dataset)
    where = f"the loop {loop.loop!r}, datasets.{number}.sampling"
    return supervised.Recipe(dataset, chain(dataset.sampling, POLICIES, where))


def build(context: Context, batch: Batch, writes: Writes, sources: Iterable[Source]) -> None:
    """Decides the rows of every version on keys, then fetches features and writes the files.

    A version with too few effective rows is not made: a measurement says so, and why. What leaks
    is looked for before anything is said; then the rows are committed, and the commit to
    `datasets` is what makes a version visible.
    """
    if not any(writes.pending(table) for table in (DATASET_ROWS, MEASUREMENTS, DATASETS)):
        return
    made = [(each, choose(context, batch, each.loop, each.recipe)) for each in sources]
    for _, choice in made:
        if choice.kept and choice.refusal:
            context.say(f"{choice.recipe.config.name}: {choice.refusal}")
    try:
        passed = [(each, choice) for each, choice in made if choice.kept and not choice.refusal]
        versions = [_version(context, batch, *each) for each in passed]
        if writes.pending(DATASET_ROWS):
            _write_rows(batch, writes, [choice for _, choice in passed])
        found = [choice.measured() for _, choice in made if choice.kept]
        writes.rows(MEASUREMENTS, [{"batch_id": batch.id, **vars(each)} for each in found])
        writes.rows(DATASETS, [_published(context, batch, each) for each in versions])
    finally:
        for _, choice in made:
            choice.release()


def version_name(batch: Batch) -> str:
    """A version is called after the batch that made it, so that names sort by age."""
    return f"v{batch.id:06d}"


def _write_rows(batch: Batch, writes: Writes, choices: list[Choice]) -> None:
    frames = [
        choice.chosen.drop(supervised.LABEL_PROB).select(
            "*",
            F.lit(batch.id).alias("batch_id"),
            F.lit(choice.recipe.config.name).alias("dataset"),
            F.lit(version_name(batch)).alias("version"),
        )
        for choice in choices
    ]
    if frames:
        writes.frame(DATASET_ROWS, reduce(DataFrame.unionByName, frames))
    else:
        writes.rows(DATASET_ROWS)


def _version(context: Context, batch: Batch, source: Source, choice: Choice) -> Version:
    """The rows of a version, laid out."""
    said = inferences(context, source.loop, batch)
    numeric, categorical = supervised.feature_names(said)
    rows = supervised.rows(choice.chosen, said, numeric, categorical)
    return Version(source, choice, lay(rows, choice.kept, source.recipe.config))


def _published(context: Context, batch: Batch, version: Version) -> dict[str, Any]:
    """Writes the files of a version; returns its row of `datasets`."""
    source, choice, laid = version
    config, kept = source.recipe.config, choice.kept
    context.say(f"writing {config.name} {version_name(batch)}: {kept:,} rows")
    store = Store(context.warehouse.uri(FOLDER, config.name, version_name(batch)))
    written = write(laid, store, source.formats)
    files, schema_json = written.files, laid.schema_json
    row = {
        "batch_id": batch.id,
        "loop": source.loop.loop,
        "dataset": config.name,
        "version": version_name(batch),
        "parent_version": choice.parent.version,
        "kind": config.kind.upper(),
        "formats": [form.name for form in source.formats],
        "uri": store.uri,
        "manifest_uri": f"{store.uri}/manifest.json",
        "content_sha256": content_sha256(files, schema_json),
        "schema_json": schema_json,
        "row_count": kept,
        "splits": _split_totals(files, source.formats[0]),
        "dropped": sorted(choice.dropped.items()),
        "quality": [
            *((f"share.{label}", n / kept) for label, n in sorted(choice.labels.items())),
            *((f"effective_rows.{name}", n) for name, n in sorted(choice.effective.items())),
            *sorted(choice.fit.items()),
        ],
        "seed": config.seed,
        "code_version": batch.code_version,
        "config_hash": batch.config_hash,
        "run_id": batch.run_id,
        "created_at": batch.planned_at,
    }
    store.finish(text(_manifest(context, batch, row, written, version)))
    return row


def _split_totals(files: list[File], form: Format) -> list[dict[str, Any]]:
    """Rows and digest of each split, of the first format: the others hold the same rows."""
    first = [file for file in files if file.path.startswith(f"{form.name}/")]
    return [{k: v for k, v in one.items() if k != "files"} for one in splits(first)]


def _manifest(
    context: Context, batch: Batch, row: dict[str, Any], written: Written, version: Version
) -> dict[str, Any]:
    source, files, labels = version.source, written.files, version.source.recipe.config.labels
    kept = {k: v for k, v in row.items() if k not in ("uri", "manifest_uri", "run_id", "splits")}
    ranges = ranges_of(context.warehouse, batch.id)
    wanted = ("topic", "topic_id", "partition", "start_offset", "end_offset")
    return {
        **kept,
        "schema_json": None,
        "schema": json.loads(row["schema_json"]),
        "dropped": dict(row["dropped"]),
        # Of every rater, so here alone: the row of `datasets` is published, and stays small.
        "quality": {**dict(row["quality"]), **version.choice.confusion},
        "labels": labels.model_dump() if labels else None,
        "sampling": dict(source.recipe.config.sampling),
        "created_at": batch.planned_at.isoformat(),
        "columns": {
            "label": "label",
            **({supervised.LABEL_PROB: supervised.LABEL_PROB} if labels else {}),
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
        "index": index(files),
        "rows_sha256": written.rows_sha256,
        "leakage": written.leakage,
        "sources": [{name: r[name] for name in wanted} for r in ranges],
    }
