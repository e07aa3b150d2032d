"""Laws of every table, whoever writes it: once, wholly, as of a batch, readable by others."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import pyarrow as pa
import pyarrow.fs as pafs
import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from processor import files
from processor.errors import BatchHeld, ProcessorError, Unavailable
from processor.listing import CUT, Wanted
from processor.table import Table
from processor.tables import LABEL_REQUESTS, LOG, OUTCOMES, TABLES, TYPED
from processor.warehouse import Warehouse

Row = dict[str, Any]

WHEN = datetime(2016, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)
PLAIN: Mapping[str, Any] = {
    "string": "Grüße 🙂",
    "bigint": 2**63 - 1,
    "int": -(2**31),
    "double": -0.1,
    "float": 0.5,
    "boolean": False,
    "binary": b"\x00\xff",
    "timestamp": WHEN,
}


def value(kind: T.DataType) -> Any:  # noqa: ANN401  # of any type a table has
    """A value of a type, at an end of its range where it has one."""
    if isinstance(kind, T.StructType):
        return {field.name: value(field.dataType) for field in kind}
    if isinstance(kind, T.ArrayType):
        return [value(kind.elementType)] * 2
    if isinstance(kind, T.MapType):
        return [(value(kind.keyType), value(kind.valueType))]
    return PLAIN[kind.simpleString()]


def row(table: Table, batch_id: int) -> Row:
    return {f.name: value(f.dataType) for f in table.schema} | {"batch_id": batch_id}


def empty(table: Table, batch_id: int) -> Row:
    """A row in which everything but the batch is null, except what names a folder."""
    kept = {name: value(table.schema[name].dataType) for name in table.partition_by}
    return dict.fromkeys(table.schema.names) | kept | {"batch_id": batch_id}


def listed(rows: pa.Table | Iterable[Row]) -> list[str]:
    """Rows in an order of their own."""
    found = rows.to_pylist() if isinstance(rows, pa.Table) else rows
    return sorted(json.dumps(each, sort_keys=True, default=str) for each in found)


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """A place whose name needs quoting in a URI."""
    return Warehouse(str(tmp_path / "the warehouse, größer: 100%"))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_rows_come_back_as_they_were_written_and_as_of_a_batch(
    warehouse: Warehouse, table: Table
) -> None:
    first, second = [row(table, 1), empty(table, 1)], [row(table, 2)]
    assert warehouse.append_once(table, first, "writer", 1)
    assert warehouse.append_once(table, second, "writer", 2)
    assert listed(warehouse.rows(table, as_of=1)) == listed(first)
    assert listed(warehouse.rows(table)) == listed([*first, *second])
    assert warehouse.rows(table, as_of=0).num_rows == 0
    assert warehouse.rows(table).schema.equals(table.arrow)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_batch_is_written_once(warehouse: Warehouse, table: Table) -> None:
    assert warehouse.committed(table, "writer") == 0
    assert warehouse.append_once(table, [row(table, 1)], "writer", 1)
    assert not warehouse.append_once(table, [row(table, 1)], "writer", 1)
    assert warehouse.append_once(table, [], "writer", 2), "that there is nothing is a commit too"
    assert not warehouse.append_once(table, [row(table, 1)], "writer", 1)
    assert warehouse.append_once(table, [row(table, 1)], "another", 1)
    assert (warehouse.committed(table, "writer"), warehouse.committed(table, "another")) == (2, 1)
    assert warehouse.rows(table).num_rows == 2


def test_key_and_partition_are_columns_and_tables_have_names_of_their_own() -> None:
    assert len({table.name for table in TABLES}) == len(TABLES)
    for table in TABLES:
        assert {*table.key, *table.partition_by} <= set(table.schema.names), table.name


def test_a_column_too_many_or_too_few_is_refused_and_nothing_written(
    warehouse: Warehouse, spark: SparkSession
) -> None:
    good = row(LOG, 1)
    for wrong in (good | {"surplus": 1}, {k: v for k, v in good.items() if k != "offset"}):
        with pytest.raises(ProcessorError, match=r"surplus|offset"):
            warehouse.append_once(LOG, [wrong], "writer", 1)
    short = spark.createDataFrame([(1,)], "batch_id long")
    with pytest.raises(ProcessorError, match="offset"):
        warehouse.append_frame(short, LOG, "writer", 1)
    assert warehouse.committed(LOG, "writer") == 0


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_spark_and_arrow_write_and_read_the_same(
    warehouse: Warehouse, spark: SparkSession, table: Table
) -> None:
    """What Spark wrote is what anybody reads, and the two writers share one protocol."""
    rows = [row(table, 1), empty(table, 1)]
    warehouse.append_once(table, rows, "arrow", 1)
    frame = warehouse.frame(spark, table, as_of=1)
    assert warehouse.append_frame(frame, table, "spark", 1)
    assert not warehouse.append_frame(frame, table, "spark", 1)
    assert not warehouse.append_once(table, rows, "spark", 1)
    assert listed(warehouse.rows(table)) == sorted(listed(rows) * 2)
    assert {f.dataType.simpleString() for f in frame.schema} == {
        f.dataType.simpleString() for f in table.schema
    }


def test_of_two_that_write_one_batch_at_once_one_is_refused(
    warehouse: Warehouse, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other commits when the files are written and not yet rows of the table."""
    rows, write = [row(LOG, 1)], files.write

    def slowly(frame: DataFrame, table: Table, uri: str) -> None:
        write(frame, table, uri)
        assert Warehouse(warehouse.root).append_once(LOG, rows, "writer", 1)

    monkeypatch.setattr(files, "write", slowly)
    frame = spark.createDataFrame(LOG.rows(rows))
    with pytest.raises(BatchHeld):
        warehouse.append_frame(frame, LOG, "writer", 1)
    assert listed(warehouse.rows(LOG)) == listed(rows)


def test_an_independent_reader_sees_the_same(tmp_path: Path, spark: SparkSession) -> None:
    rows = [row(LOG, 1) | {"topic": "t", "offset": offset} for offset in range(3)]
    place = Warehouse(str(tmp_path))
    place.append_once(LOG, rows[:2], "writer", 1)
    more = spark.createDataFrame(LOG.rows([rows[2] | {"batch_id": 2}]))
    place.append_frame(more, LOG, "writer", 2)
    names = [unquote(uri) for uri in DeltaTable(place.uri(LOG.name)).file_uris()]
    seen = duckdb.read_parquet(names, hive_partitioning=True)
    assert seen.project('sum("offset"), count(*), max(batch_id)').fetchall() == [(3, 3, 2)]
    assert place.files(LOG, 1)[0] == 2
    assert place.files(LOG, 2)[0] == 1


@pytest.mark.parametrize("table", [LOG, *TYPED.values(), OUTCOMES], ids=lambda table: table.name)
def test_deltas_own_spark_finds_rows_by_what_a_commit_tells(
    tmp_path: Path, spark: SparkSession, table: Table
) -> None:
    """It leaves out files by their statistics: a wrong one would hide rows."""
    place, said = Warehouse(str(tmp_path)), row(table, 1)
    place.append_once(table, [said, empty(table, 2)], "arrow", 2)
    place.append_frame(place.frame(spark, table), table, "spark", 2)
    wanted = F.lit(True)
    for name in {*(table.sought_by or ("batch_id",)), *table.partition_by} & said.keys():
        wanted &= F.col(name) == F.lit(said[name]).cast(table.schema[name].dataType)
    seen = spark.read.format("delta").load(place.spark_uri(table))
    assert seen.where(wanted).count() == 2
    assert seen.count() == 4


@pytest.mark.parametrize("table", [*TYPED.values(), OUTCOMES], ids=lambda table: table.name)
def test_a_file_that_spark_wrote_says_its_ends_and_its_nulls(
    warehouse: Warehouse, spark: SparkSession, table: Table
) -> None:
    warehouse.append_once(table, [row(table, 1), empty(table, 2)], "arrow", 2)
    warehouse.append_frame(warehouse.frame(spark, table).coalesce(1), table, "spark", 2)
    actions = pa.table(DeltaTable(warehouse.uri(table.name)).get_add_actions(flatten=True))
    *_, (said,) = sorted(
        ([one] for one in actions.to_pylist()), key=lambda one: "/" in one[0]["path"]
    )
    assert said["num_records"] == 2
    assert (said["min.batch_id"], said["max.batch_id"], said["null_count.batch_id"]) == (1, 2, 0)
    for name in table.sought_by:
        if name not in {"batch_id", "origin.batch_id"}:
            given = row(table, 1)[name]
            ends = (said[f"min.{name}"], said[f"max.{name}"], said[f"null_count.{name}"])
            assert ends == (given, given, 1), name


def test_files_that_can_hold_nothing_that_is_asked_for_are_not_read(
    warehouse: Warehouse, spark: SparkSession
) -> None:
    hour, table = timedelta(hours=1), TYPED["feedback"]
    for number in (1, 2, 3):
        rows = [empty(table, number) | {"event_time": WHEN + number * hour}]
        frame = spark.createDataFrame(table.rows(rows))
        warehouse.append_frame(frame, table, "spark", number)

    def read(holding: Wanted, as_of: int | None = None) -> list[int]:
        found = warehouse.frame(spark, table, as_of, holding).select("batch_id").collect()
        return sorted(each["batch_id"] for each in found)

    said = WHEN + 2 * hour
    assert read([[("event_time", ">=", said)]]) == [2, 3]
    assert read([[("event_time", ">", said + CUT)]]) == [3]
    assert read([[("event_time", ">", said)]]) == [2, 3], "an end may have been cut"
    assert read([[("event_time", ">=", said)]], as_of=2) == [2]
    assert read([[("event_time", ">", said + CUT)], [("batch_id", "=", 1)]]) == [1, 3]
    assert read([[("event_time", "<=", said)]]) == [1, 2]
    assert read([[("event_time", "<", said), ("batch_id", ">", 1)]]) == []
    assert read([[("batch_id", "in", [2, 7])]]) == [2]
    assert read([[("event_id", "=", "nobody's")]]) == [], "in a file of nulls there is none"
    assert read([[("metric", "=", "of which nothing is said")]]) == [1, 2, 3]
    assert read([[("event_id", "!=", "x")]]) == [], "as above"


STRANGE = {
    "a time of no year": {"event_time": f"timestamp_micros({2**62})", "event_id": "'odd'"},
    "a long id": {"event_id": "repeat('y', 5000)"},
}


@pytest.mark.parametrize("kind", STRANGE)
def test_what_a_footer_cannot_say_hides_no_row(
    warehouse: Warehouse, spark: SparkSession, kind: str
) -> None:
    """What stands beside it in the file is found by everybody, delta-rs too."""
    table = TYPED["feedback"]
    good = spark.createDataFrame(
        table.rows([empty(table, 1) | {"event_id": "good", "event_time": WHEN}])
    )
    both = good.unionByName(
        good.withColumns({name: F.expr(value) for name, value in STRANGE[kind].items()})
    ).coalesce(1)
    warehouse.append_frame(both, table, "spark", 1)
    known = [("event_id", "=", "good"), ("event_time", ">", WHEN - timedelta(hours=1))]
    (read,) = warehouse.rows(table, columns=["event_id", "event_time"], where=known).to_pylist()
    assert read == {"event_id": "good", "event_time": WHEN}
    frame = warehouse.frame(spark, table, holding=[known])
    assert frame.where("event_id = 'good'").where(F.col("event_time") == F.lit(WHEN)).count() == 1
    place = pafs.SubTreeFileSystem(warehouse.uri(table.name), pafs.LocalFileSystem())
    others = DeltaTable(warehouse.uri(table.name)).to_pyarrow_table(
        columns=["event_id"], filters=known, filesystem=place
    )
    assert others.num_rows == 1


def test_a_commit_that_says_no_ends_hides_no_row(
    warehouse: Warehouse, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other writers say what they like."""
    monkeypatch.setattr(files, "_put", lambda *_: None)
    table = TYPED["feedback"]
    rows = [empty(table, 1) | {"event_id": "good", "event_time": WHEN}]
    warehouse.append_frame(spark.createDataFrame(table.rows(rows)), table, "spark", 1)
    known = [("event_id", "=", "good"), ("event_time", ">", WHEN - timedelta(hours=1))]
    assert warehouse.rows(table, where=known).num_rows == 1
    assert warehouse.frame(spark, table, holding=[known]).count() == 1


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_cannot_say_hides_no_row(
    warehouse: Warehouse, spark: SparkSession, score: float
) -> None:
    rows = [empty(LABEL_REQUESTS, 1) | {"score": each} for each in (score, 0.5)]
    frame = spark.createDataFrame(LABEL_REQUESTS.rows(rows)).coalesce(1)
    warehouse.append_frame(frame, LABEL_REQUESTS, "spark", 1)
    assert warehouse.files(LABEL_REQUESTS, 1)[0] == 2
    assert warehouse.rows(LABEL_REQUESTS, where=[("score", "=", 0.5)]).num_rows == 1


def test_columns_and_conditions_are_read_alone(warehouse: Warehouse) -> None:
    rows = [row(LOG, 1) | {"offset": n, "topic": f"t{n % 2}"} for n in range(4)]
    warehouse.append_once(LOG, rows, "writer", 1)
    found = warehouse.rows(LOG, columns=["offset"], where=[("topic", "=", "t1")])
    assert sorted(found.to_pylist(), key=str) == [{"offset": 1}, {"offset": 3}]
    nothing = Warehouse(f"{warehouse.root}/nothing").rows(LOG, columns=["offset"])
    assert (nothing.num_rows, nothing.column_names) == (0, ["offset"])


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    place = str(tmp_path / "file" / "warehouse")
    with pytest.raises(Unavailable, match=str(tmp_path / "file")):
        Warehouse(place).append_once(LOG, [row(LOG, 1)], "writer", 1)
