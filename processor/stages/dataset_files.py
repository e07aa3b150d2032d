"""The files of a dataset version: its rows computed once, checked, then written in each format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.datasets import content, leakage
from processor.datasets.formats.base import Format
from processor.datasets.manifest import File
from processor.datasets.split import SPLITS, TRAIN
from processor.datasets.store import Store
from processor.datasets.supervised import CATEGORICAL, NUMERIC, SESSION
from processor.loops import DatasetConfig

ROWS_PER_FILE = 500_000


class Laid(NamedTuple):
    """Rows as files will hold them, kept on disk until `release`, and what leaks.

    `refusals` says, by check, why they may not become a version.
    """

    rows: DataFrame
    leakage: Mapping[str, Any]
    refusals: Mapping[str, str]

    @property
    def schema_json(self) -> str:
        """The schema of the files, as Spark writes it."""
        return self.rows.drop("split").schema.json()

    def beside(self, check: str, said: Mapping[str, Any], refusal: str | None) -> Laid:
        """The same rows with one more check of them, and why they fail it, if they do."""
        refusals = {**self.refusals, check: refusal} if refusal else self.refusals
        return self._replace(leakage={**self.leakage, check: said}, refusals=refusals)

    def release(self) -> None:
        """Lets go of what is kept on disk."""
        self.rows.unpersist()


class Written(NamedTuple):
    """Every file, the digest of the rows of each split, and what leaks."""

    files: list[File]
    rows_sha256: Mapping[str, str]
    leakage: Mapping[str, Any]


def lay(rows: DataFrame, kept: int, config: DatasetConfig) -> Laid:
    """The rows in fixed partitions and a fixed order, so that bytes depend on them alone."""
    parts = rows.repartition(ceil(kept / ROWS_PER_FILE), "inference_id")
    ordered = parts.sortWithinPartitions("split", "inference_id").persist(StorageLevel.DISK_ONLY)
    found = _leakage(ordered, config)
    return Laid(ordered, found, leakage.refusals(found, config.leakage))


def write(laid: Laid, store: Store, forms: Sequence[Format]) -> Written:
    """The files of every format, beside the place where the version will be."""
    store.begin()
    try:
        files = [file for form in forms for file in _files(laid, store, form)]
        return Written(files, content.digests(laid.rows), laid.leakage)
    finally:
        laid.release()


def _files(laid: Laid, store: Store, form: Format) -> list[File]:
    form.write(laid.rows, f"{store.aside_uri}/_spark/{form.name}")
    found = list(store.collect(form, SPLITS))
    return [*found, *store.index(form, found, laid.schema_json)]


def _leakage(rows: DataFrame, config: DatasetConfig) -> dict[str, Any]:
    features = [name for name in rows.columns if name.startswith((NUMERIC, CATEGORICAL, SESSION))]
    found = leakage.summary(leakage.twins(rows, features, config.leakage)).collect()
    held_out = rows.where(F.col("split") != TRAIN).count() if found else 0
    return leakage.report(found, held_out, config.leakage)
