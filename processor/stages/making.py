"""A dataset version, once its rows are decided: its files, its manifest, its row of `datasets`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from pyspark.sql import DataFrame

from processor.batches import Batch
from processor.datasets import supervised
from processor.datasets.as_of import FUTURE
from processor.datasets.formats.base import Format
from processor.datasets.manifest import MANIFEST, File, content_sha256, index, sources, splits, text
from processor.datasets.store import Store
from processor.measurements import REFUSED, Measurement
from processor.stages import enrichment, features, recipes
from processor.stages.base import Context, ranges_since
from processor.stages.choices import Choice
from processor.stages.dataset_files import Laid, Written, lay, write
from processor.stages.maturity import maturity
from processor.stages.recipes import Source
from processor.stages.sources import inferences
from processor.warehouse import Warehouse

FOLDER = "dataset_files"


class Version(NamedTuple):
    """A version that is decided and laid out, ready to be written.

    `rows` are its rows with their origins, `enriched` what is said of what they were told besides,
    and `withheld` the features that they do not have because these are protected.
    """

    source: Source
    choice: Choice
    laid: Laid
    rows: DataFrame
    enriched: Mapping[str, float]
    withheld: tuple[str, ...]

    def release(self) -> None:
        """Lets go of what is kept of its rows."""
        self.laid.release()
        self.rows.unpersist()

    def leaks(self) -> list[Measurement]:
        """What leaks, for each check that has a limit; REFUSED where it is exceeded."""
        why, choice = self.laid.refusals, self.choice
        limited = {*self.source.recipe.config.leakage.limits, FUTURE}
        return [
            replace(
                choice.measurement(f"leakage.{check}", choice.kept, said["share"]),
                verdict=REFUSED if check in why else None,
                reason=why.get(check),
            )
            for check, said in self.laid.leakage.items()
            if check in limited
        ]


def store_of(warehouse: Warehouse, dataset: str, version: str) -> Store:
    """Where the files of a version are."""
    return Store(warehouse.uri(FOLDER, dataset, version))


def version_name(batch: Batch) -> str:
    """A version is called after the batch that made it, so that names sort by age."""
    return f"v{batch.id:06d}"


def laid_out(context: Context, batch: Batch, source: Source, choice: Choice) -> Version:
    """The rows of a version, laid out."""
    said = inferences(context, source.loop, batch, choice.since)
    config = source.recipe.config
    forbidden = features.protected(context, source.loop, batch)
    (numeric, categorical), withheld = supervised.allowed(supervised.feature_names(said), forbidden)
    told = enrichment.enriched(context, batch, config.enrich, choice.chosen, choice.since)
    near = supervised.drawn_below(said, source.recipe, choice.likeliest)
    rows = supervised.rows(told.rows, near, numeric, categorical, config.enrich.session)
    laid = lay(rows, choice.kept, config)
    if told.future is not None:
        laid = laid.beside(FUTURE, told.future, enrichment.refusal(told.future))
    if withheld:
        context.say(f"{config.name}: protected, so no column: {', '.join(withheld)}")
    return Version(source, choice, laid, told.rows, told.quality, withheld)


def make(context: Context, batch: Batch, version: Version, store: Store) -> dict[str, Any]:
    """Writes the files of a version to `store`; returns its row of `datasets`."""
    source, choice, laid = version.source, version.choice, version.laid
    config, kept = source.recipe.config, choice.kept
    context.say(f"writing {config.name} {version_name(batch)}: {kept:,} rows")
    mature = maturity(context, source.loop, batch, laid.rows)
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
        "manifest_uri": f"{store.uri}/{MANIFEST}",
        "content_sha256": content_sha256(files, schema_json),
        "schema_json": schema_json,
        "row_count": kept,
        "new_rows": choice.fresh,
        "splits": _split_totals(files, source.formats[0]),
        "dropped": sorted(choice.dropped.items()),
        "quality": [
            *((f"share.{label}", n / kept) for label, n in sorted(choice.labels.items())),
            ("maturity", mature),
            *((f"effective_rows.{name}", n) for name, n in sorted(choice.effective.items())),
            *sorted(choice.fit.items()),
            *sorted(version.enriched.items()),
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
    new = ranges_since(context.warehouse, version.choice.reaches_back_to, batch.id)
    return {
        **kept,
        "schema_json": None,
        "schema": json.loads(row["schema_json"]),
        "dropped": dict(row["dropped"]),
        # Of every rater, so here alone: the row of `datasets` is published, and stays small.
        "quality": {**dict(row["quality"]), **version.choice.confusion},
        "labels": labels.model_dump() if labels else None,
        "sampling": dict(source.recipe.config.sampling),
        "recipe": recipes.kept(source),
        "created_at": batch.planned_at.isoformat(),
        "columns": {
            "label": "label",
            **({supervised.LABEL_PROB: supervised.LABEL_PROB} if labels else {}),
            "weight": "weight",
            "propensity": "propensity",
            "id": "inference_id",
            "subject": "subject_key",
            "time": "response_time",
        },
        "features": {
            "numeric": supervised.NUMERIC,
            "categorical": supervised.CATEGORICAL,
            **({"session": supervised.SESSION} if source.recipe.config.enrich.session else {}),
        },
        "withheld": list(version.withheld),
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
        "sources": sources(new),
    }
