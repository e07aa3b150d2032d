"""The part of `compile` that makes dataset versions from the outcomes that became known."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.measurements import refused_dataset
from processor.stages.base import Context, Writes
from processor.stages.choices import choose
from processor.stages.making import Version, laid_out, make, store_of, version_name
from processor.stages.recipes import Source
from processor.tables import DATASET_ROWS, DATASETS, MEASUREMENTS


def build(context: Context, batch: Batch, writes: Writes, sources: Iterable[Source]) -> None:
    """Decides the rows of every version on keys, then fetches features and writes the files.

    A version that has too few effective rows, or leaks more than its recipe allows, is refused:
    a measurement says so, and why, and nothing else of it is written (docs/adr/0021). Both are
    known before anything is said; then the rows of the others are committed, and the commit to
    `datasets` is what makes a version visible.
    """
    if not any(writes.pending(table) for table in (DATASET_ROWS, MEASUREMENTS, DATASETS)):
        return
    chosen = [(each, choose(context, batch, each.loop, each.recipe)) for each in sources]
    found = [(each, choice) for each, choice in chosen if choice.kept]
    laid: list[Version] = []
    try:
        for source, choice in found:
            if not choice.refusal:
                laid.append(laid_out(context, batch, source, choice))
        said = [*(choice.measured() for _, choice in found), *(m for v in laid for m in v.leaks())]
        for each in said:
            if refused := refused_dataset(vars(each)):
                context.say(f"{refused}: no version: {each.reason}")
        passed = [version for version in laid if not version.laid.refusals]
        if writes.pending(DATASET_ROWS):
            _write_rows(batch, writes, passed)
        writes.rows(MEASUREMENTS, [{"batch_id": batch.id, **vars(each)} for each in said])
        writes.rows(DATASETS, [_made(context, batch, version) for version in passed])
    finally:
        for version in laid:
            version.release()
        for _, choice in chosen:
            choice.release()


def _made(context: Context, batch: Batch, version: Version) -> dict[str, Any]:
    """The version's row of `datasets`; its files are where everybody looks for them."""
    name = version.source.recipe.config.name
    return make(context, batch, version, store_of(context.warehouse, name, version_name(batch)))


def _write_rows(batch: Batch, writes: Writes, versions: list[Version]) -> None:
    frames = [
        version.rows.select(
            *("inference_id", "label", "split", "inclusion_prob", "weight", "origins"),
            F.lit(batch.id).alias("batch_id"),
            F.lit(version.source.recipe.config.name).alias("dataset"),
            F.lit(version_name(batch)).alias("version"),
        )
        for version in versions
    ]
    if frames:
        writes.frame(DATASET_ROWS, reduce(DataFrame.unionByName, frames))
    else:
        writes.rows(DATASET_ROWS)
