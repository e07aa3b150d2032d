"""Dataset versions as the tables tell of them, found by name: no JVM, and nothing is written."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from processor.datasets import difference
from processor.errors import ConfigError, Unavailable
from processor.measurements import INSUFFICIENT, REFUSED, refused_dataset
from processor.plugins import nearest
from processor.stages import recipes
from processor.stages.making import store_of
from processor.stages.recipes import Source
from processor.tables import DATASET_ROWS, DATASETS, MEASUREMENTS
from processor.warehouse import Warehouse

Row = dict[str, Any]


def listed(warehouse: Warehouse, dataset: str | None = None) -> list[Row]:
    """The rows of `datasets`, by dataset and age."""
    where = [("dataset", "=", dataset)] if dataset else []
    rows = warehouse.rows(DATASETS, where=where).to_pylist()
    return sorted(rows, key=lambda row: (row["dataset"], row["batch_id"]))


def refused(warehouse: Warehouse) -> list[Row]:
    """The versions that were not made: dataset, batch_id and reason, by dataset and batch."""
    columns = ["batch_id", "loop", "metric", "verdict", "reason"]
    where = [("verdict", "in", [INSUFFICIENT, REFUSED])]
    rows = warehouse.rows(MEASUREMENTS, columns=columns, where=where).to_pylist()
    found = [
        {"dataset": dataset, **{name: row[name] for name in ("loop", "batch_id", "reason")}}
        for row in rows
        if (dataset := refused_dataset(row))
    ]
    return sorted(found, key=lambda row: (row["dataset"], row["batch_id"], row["reason"]))


def version(warehouse: Warehouse, name: str) -> Row:
    """The row of the version called `DATASET/VERSION`.

    Raises:
        ConfigError: there is none; it says why, if it was refused, or names the nearest.
    """
    rows = {f"{row['dataset']}/{row['version']}": row for row in listed(warehouse)}
    if name in rows:
        return rows[name]
    for one in refused(warehouse):
        if name == f"{one['dataset']}/v{one['batch_id']:06d}":
            raise ConfigError(
                f"{name} was not made: {one['reason']}", remedy="`bfp dataset list` says which were"
            )
    if not rows:
        raise ConfigError(f"no version {name!r}, nor any other", remedy="`bfp run` makes the first")
    raise ConfigError(f"no version {name!r}", remedy=nearest(name, list(rows)))


def manifest(warehouse: Warehouse, row: Row) -> Row:
    """The manifest of a version.

    Raises:
        Unavailable: it is not where it was written.
    """
    store = store_of(warehouse, row["dataset"], row["version"])
    try:
        return store.manifest()
    except (OSError, ValueError) as error:  # gone, or no JSON any more
        raise Unavailable(
            f"the manifest of {row['dataset']}/{row['version']} cannot be read: {error}",
            remedy=f"bring back {store.uri}: `bfp dataset rebuild` says what it held",
        ) from error


def source_of(warehouse: Warehouse, row: Row) -> Source:
    """What a version was built from, by its own manifest."""
    where = f"the manifest of {row['dataset']}/{row['version']}, recipe"
    return recipes.again(manifest(warehouse, row)["recipe"], where)


def placed(
    warehouse: Warehouse, row: Row, *columns: str, inference_id: str | None = None
) -> pa.Table:
    """The rows of `dataset_rows` of one version; all of them, or that of one inference."""
    where = [(name, "=", row[name]) for name in ("batch_id", "dataset", "version")]
    one = [] if inference_id is None else [("inference_id", "=", inference_id)]
    return warehouse.rows(DATASET_ROWS, columns=columns or None, where=[*where, *one])


def compared(warehouse: Warehouse, one: Row, other: Row) -> Row:
    """How the second version differs from the first."""
    manifests = (manifest(warehouse, row) for row in (one, other))
    rows = (placed(warehouse, row, *difference.ROW) for row in (one, other))
    return {"rows": difference.of_rows(*rows), **difference.of_manifests(*manifests)}
