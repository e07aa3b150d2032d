"""Files of rows, which Spark writes and Spark or Arrow reads, and what a commit says of them."""

from __future__ import annotations

import json
import math
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import reduce
from operator import and_
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from deltalake.transaction import AddAction
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from processor.listing import File
from processor.table import Table

Scalar = str | int | float | datetime
Ends = tuple[Scalar, Scalar]
WIDEST: Mapping[str, Ends] = {
    "TIMESTAMP": (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)),
    "STRING": ("", "\U0010ffff"),
    "INT32": (-(2**31), 2**31 - 1),
    "INT64": (-(2**63), 2**63 - 1),
    "FLOAT": (-sys.float_info.max, sys.float_info.max),
    "DOUBLE": (-sys.float_info.max, sys.float_info.max),
}
"""By Parquet's logical type, or by its physical one where it has none."""
COMMITTER = {
    "mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    # Of a task that failed nothing is left; with version 2 what it had moved would be.
    "mapreduce.fileoutputcommitter.algorithm.version": "1",
}
_MILLISECOND = 1_000_000  # nanoseconds


def write(frame: DataFrame, table: Table, uri: str) -> None:
    """Writes `frame` into the new folder `uri`: rows of no table, before a commit says so."""
    frame.write.partitionBy(*table.partition_by).options(**COMMITTER).parquet(uri)


def added(place: pafs.FileSystem, folder: str, columns: Collection[str]) -> list[AddAction]:
    """The files of rows under `folder`, as a commit names them, with statistics of `columns`."""
    listed = place.get_file_info(pafs.FileSelector(folder, allow_not_found=True, recursive=True))
    files = (each for each in listed if each.is_file and each.extension == "parquet")
    return [made for each in files if (made := _added(place, each, columns)) is not None]


def scan(spark: SparkSession, table: Table, uri: str, files: Iterable[File]) -> DataFrame:
    """The rows of some of the table's files; what names a folder is no column of its files."""
    schema = T.StructType([each for each in table.schema if each.name not in table.partition_by])
    shares: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for file in files:
        shares[file.keys].append(f"{uri}/{file.path}")
    read = spark.read.schema(schema)
    frames = [
        read.parquet(*paths).withColumns(
            {name: F.lit(key) for name, key in zip(table.partition_by, keys, strict=True)}
        )
        for keys, paths in sorted(shares.items())
    ]
    if not frames:
        # In a form that the planner knows to be empty.
        frames = [spark.range(0).where("false").select(*_nothing(table))]
    return reduce(DataFrame.union, (each.select(*table.schema.names) for each in frames))


def dataset(
    place: pafs.FileSystem, table: Table, files: Iterable[File], schema: pa.Schema
) -> ds.Dataset:
    """The rows of some of the table's files, as Arrow reads them: by rows, not by what commits say.

    delta-rs's own would leave out files whose commits do not say the ends of a column.
    """
    form = ds.ParquetFileFormat(
        default_fragment_scan_options=ds.ParquetFragmentScanOptions(pre_buffer=True)
    )
    parts = [
        form.make_fragment(file.path, place, partition_expression=_keys(table, file))
        for file in files
    ]
    return ds.FileSystemDataset(parts, schema, form, place)


def _keys(table: Table, file: File) -> pc.Expression | None:
    pairs = zip(table.partition_by, file.keys, strict=True)
    return reduce(and_, (pc.field(name) == key for name, key in pairs)) if file.keys else None


def _nothing(table: Table) -> list[Column]:
    return [F.lit(None).cast(each.dataType).alias(each.name) for each in table.schema]


def _added(
    place: pafs.FileSystem, file: pafs.FileInfo, columns: Collection[str]
) -> AddAction | None:
    with place.open_input_file(file.path) as opened:
        footer = pq.read_metadata(opened)
    if not footer.num_rows:
        return None
    folders = (step.partition("=") for step in file.path.split("/")[:-1])
    return AddAction(
        path=file.path,
        size=file.size,
        partition_values={name: unquote(value) for name, sign, value in folders if sign},
        modification_time=file.mtime_ns // _MILLISECOND,
        data_change=True,
        stats=json.dumps(_statistics(footer, columns), allow_nan=False),
    )


def _statistics(footer: pq.FileMetaData, columns: Collection[str]) -> dict[str, Any]:
    """How many rows there are, and of `columns` the nulls and the ends.

    Ends that the footer does not say, or that JSON cannot, are the widest of their type: delta-rs
    takes a column with values but no ends for one without values.

    Source: the Delta transaction protocol, per-file statistics.
    """
    told: dict[str, Any] = {"numRecords": footer.num_rows}
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    for at in range(footer.num_columns):
        column = footer.schema.column(at)
        parts = [group.column(at).statistics for group in groups]
        widest = _widest(column)
        if column.path not in columns or widest is None:
            continue
        if not all(part is not None and part.has_null_count for part in parts):
            _put_ends(told, column.path, widest)  # of long texts a footer says nothing at all
            continue
        _put(told, "nullCount", column.path, sum(part.null_count for part in parts))
        if filled := [part for part in parts if part.num_values]:
            _put_ends(told, column.path, _ends(filled, widest))
    return told


def _widest(column: pq.ColumnSchema) -> Ends | None:
    """Between what all values of a column are; None of a type that has no ends in Delta."""
    kind = column.logical_type.type
    return WIDEST.get(column.physical_type if kind == "NONE" else kind)


def _ends(parts: Sequence[pq.Statistics], widest: Ends) -> Ends:
    """The least and the largest value, or the widest ends."""
    try:
        ends = [(part.min, part.max) for part in parts if part.has_min_max]
    except (OverflowError, UnicodeDecodeError):  # no year, or no text, that Python knows
        return widest
    if len(ends) < len(parts):
        return widest
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    if isinstance(low, float) and not (math.isfinite(low) and math.isfinite(high)):
        return widest
    return low, high


def _put_ends(told: dict[str, Any], column: str, ends: Ends) -> None:
    for kind, end in zip(("minValues", "maxValues"), ends, strict=True):
        _put(told, kind, column, _plain(end))


def _put(told: dict[str, Any], kind: str, column: str, value: Scalar) -> None:
    *outer, last = (kind, *column.split("."))
    for step in outer:
        told = told.setdefault(step, {})
    told[last] = value


def _plain(value: Scalar) -> Scalar:
    return value.isoformat() if isinstance(value, datetime) else value
