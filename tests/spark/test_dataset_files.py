"""A version's files: every format holds the same rows, and rows that leak too much are none."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from processor.datasets import content, formats
from processor.datasets.formats.base import Format
from processor.datasets.manifest import NO_SPLIT, index, splits
from processor.datasets.split import SPLITS
from processor.datasets.store import Store
from processor.loops import DatasetConfig, LeakageConfig
from processor.plugins import Registry
from processor.stages.dataset_files import lay, write
from tests.spark import every_type

FORMATS: Registry[Format] = Registry(formats, "dataset format")
ROWS = every_type.table()


def config(**limits: float) -> DatasetConfig:
    return DatasetConfig(name="d", leakage=LeakageConfig.model_validate({"limits": limits}))


def test_every_format_holds_the_rows_that_the_digest_is_of(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = spark.createDataFrame(ROWS).withColumns(
        {"subject_key": F.lit(None).cast("string"), "label": F.col("flag").cast("string")}
    )
    store = Store(str(tmp_path / "v1"))
    laid = lay(rows, every_type.ROWS, config())
    made = write(laid, store, list(FORMATS))
    store.finish("{}")
    assert made.rows_sha256 == content.digests(rows)
    assert not laid.rows.is_cached
    for form in FORMATS:
        mine = [file for file in made.files if file.path.startswith(f"{form.name}/")]
        assert sum(file.rows for file in mine) == every_type.ROWS
        assert {file.split for file in mine} - {NO_SPLIT} == set(SPLITS)
    listed = {file["path"] for split in splits(made.files) for file in split["files"]}
    listed |= {file["path"] for file in index(made.files)}
    there = {str(p.relative_to(tmp_path / "v1")) for p in tmp_path.rglob("*") if p.is_file()}
    assert there == listed | {"manifest.json"}


def test_rows_that_leak_more_than_is_allowed_say_so(spark: SparkSession) -> None:
    rows = spark.createDataFrame(ROWS).withColumns(
        {"subject_key": F.lit("s"), "label": F.lit("true")}
    )
    allowed = lay(rows, every_type.ROWS, config(subject=1))
    assert (allowed.leakage["subject"]["share"], allowed.refusals) == (1, {})
    refused = lay(rows, every_type.ROWS, config(subject=0.999)).refusals
    assert "396 held-out rows leak by subject" in refused["subject"]
