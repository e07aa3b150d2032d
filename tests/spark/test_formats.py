"""Laws of every dataset format: a new file in the folder is tested unasked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable
from pyarrow import feather
from pyspark.sql import DataFrame, SparkSession

from processor.datasets import content, formats
from processor.datasets.formats.base import Format
from processor.datasets.manifest import NO_SPLIT, File
from processor.datasets.split import SPLITS
from processor.errors import DataRefused
from processor.plugins import Registry
from tests.spark import every_type
from tests.spark.readers import HUGGING_FACE, READERS

FORMATS: Registry[Format] = Registry(formats, "dataset format")
ROOT = Path(__file__).parents[2]
ROWS = every_type.table()
CANONICAL = ROWS.schema.remove(ROWS.schema.get_field_index("split"))

Stored = Mapping[str, tuple[Path, Sequence[File]]]

every_format = pytest.mark.parametrize("name", [form.name for form in FORMATS])


def of_split(split: str) -> pa.Table:
    found = [row for row in ROWS.to_pylist() if row["split"] == split]
    return pa.Table.from_pylist(found, ROWS.schema).drop_columns(["split"])


@pytest.fixture(scope="module")
def rows(spark_session: SparkSession) -> DataFrame:
    return every_type.frame(spark_session, ROWS).persist()


@pytest.fixture(scope="module")
def stored(rows: DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """A version in each format, in a folder whose name is awkward."""
    folder = tmp_path_factory.mktemp("formats") / "with a space"
    return {
        form.name: (folder / form.name, every_type.stored(rows, form, folder / form.name))
        for form in FORMATS
    }


@pytest.mark.parametrize(
    ("name", "number"),
    [(form.name, n) for form in FORMATS for n in range(max(1, len(READERS.get(form.name, ()))))],
)
def test_another_reader_sees_the_same_rows(stored: Stored, name: str, number: int) -> None:
    reader = READERS[name][number]
    folder, files = stored[name]
    for split in SPLITS:
        mine = [folder / file.path for file in files if file.split == split]
        read = reader(folder / name, mine, CANONICAL)
        assert read.num_rows == of_split(split).num_rows
        assert content.digest(read) == content.digest(of_split(split))
        one_less = read.slice(1)
        assert content.digest(one_less) != content.digest(of_split(split))


@pytest.mark.parametrize("name", HUGGING_FACE)
def test_hugging_face_sees_the_same_rows(spark: SparkSession, name: str, tmp_path: Path) -> None:
    rows = ROWS.drop_columns(["params"])
    told = every_type.finite(rows) if name == "jsonl" else rows
    files = every_type.stored(every_type.frame(spark, told), FORMATS[name], tmp_path / "v")
    for split in SPLITS:
        mine = [tmp_path / "v" / file.path for file in files if file.split == split]
        expected = told.filter(pc.equal(told["split"], split)).drop_columns(["split"])
        read = HUGGING_FACE[name](tmp_path / "v" / name, mine, expected.schema)
        assert read.num_rows == expected.num_rows > 0
        assert content.digest(read) == content.digest(expected)


@every_format
def test_rows_are_counted_and_names_tell_of_rows_alone(stored: Stored, name: str) -> None:
    folder, files = stored[name]
    held = [file for file in files if file.split != NO_SPLIT]
    assert sum(file.rows for file in held) == every_type.ROWS
    for split in SPLITS:
        mine = [file for file in held if file.split == split]
        assert sum(file.rows for file in mine) == of_split(split).num_rows
        assert [file.path for file in mine] == [
            f"{name}/{split}/part-{number:05d}{FORMATS[name].suffix}" for number in range(len(mine))
        ]
    there = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert there == {"manifest.json", *(file.path for file in files)}


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Digests by format and path of the same rows, written by another process."""
    folder = tmp_path_factory.mktemp("again")
    feather.write_feather(ROWS, folder / "rows.arrow")
    made = subprocess.run(
        [sys.executable, "-m", "tests.spark.write_again", folder / "rows.arrow", folder],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Kathmandu"},
        check=True,
        capture_output=True,
        text=True,
    )
    said: dict[str, dict[str, str]] = json.loads(made.stdout)
    return said


@every_format
def test_another_process_writes_the_same_bytes(
    stored: Stored, again: dict[str, dict[str, str]], name: str
) -> None:
    assert {file.path: file.sha256 for file in stored[name][1]} == again[name]


@every_format
def test_bytes_do_not_follow_from_how_spark_hands_rows_over(
    spark: SparkSession, rows: DataFrame, stored: Stored, name: str, tmp_path: Path
) -> None:
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", 7)
    try:
        found = every_type.stored(rows, FORMATS[name], tmp_path / "v")
    finally:
        spark.conf.unset("spark.sql.execution.arrow.maxRecordsPerBatch")
    assert found == stored[name][1]


@every_format
def test_a_split_without_rows_has_no_files(rows: DataFrame, name: str, tmp_path: Path) -> None:
    found = every_type.stored(rows.where("split = 'test'"), FORMATS[name], tmp_path / "v")
    assert {file.split for file in found} - {NO_SPLIT} == {"test"}


def test_the_digest_that_spark_adds_up_is_that_of_the_rows(rows: DataFrame) -> None:
    expected = {split: content.digest(of_split(split)) for split in SPLITS}
    assert content.digests(rows) == expected
    assert content.digests(rows.orderBy("weight").repartition(5)) == expected


def test_delta_is_a_table_that_spark_reads_too(
    spark: SparkSession, rows: DataFrame, stored: Stored
) -> None:
    folder = stored["delta"][0] / "delta"
    read = spark.read.format("delta").load(str(folder))
    assert read.schema["split"].dataType == rows.schema["split"].dataType
    assert content.digests(read) == content.digests(rows)
    assert read.where("split = 'test'").count() == of_split("test").num_rows
    table = DeltaTable(str(folder))
    assert (table.version(), table.metadata().partition_columns) == (0, ["split"])


def test_a_tfrecord_file_that_was_cut_off_is_not_counted(stored: Stored, tmp_path: Path) -> None:
    folder, files = stored["tfrecord"]
    whole = (folder / files[0].path).read_bytes()
    count = FORMATS["tfrecord"].count
    assert count(pa.BufferReader(whole)) == files[0].rows
    for cut in (1, 5, len(whole) // 2):
        with pytest.raises(DataRefused, match="ends within a record"):
            count(pa.BufferReader(whole[:-cut]))
