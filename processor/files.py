"""Files of rows that Spark writes and reads: what a commit says of them, and which are read."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import reduce
from typing import Any
from urllib.parse import unquote

import pyarrow.dataset as ds
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from deltalake.transaction import AddAction
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from processor.table import Table

Scalar = str | int | float | datetime
_MILLISECOND = 1_000_000  # nanoseconds


def write(frame: DataFrame, table: Table, uri: str) -> None:
    """Writes `frame` into the new folder `uri`: rows of no table, before a commit says so."""
    writer = frame.write.partitionBy(*table.partition_by)
    writer.option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false").parquet(uri)


def added(place: pafs.FileSystem, folder: str, columns: Collection[str]) -> list[AddAction]:
    """The files of rows under `folder`, as a commit names them, with statistics of `columns`."""
    listed = place.get_file_info(pafs.FileSelector(folder, recursive=True))
    files = (each for each in listed if each.is_file and each.extension == "parquet")
    return [made for each in files if (made := _added(place, each, columns)) is not None]


def scan(spark: SparkSession, table: Table, uri: str, files: Iterable[ds.Fragment]) -> DataFrame:
    """The rows of some of the table's files; what names a folder is no column of its files."""
    schema = T.StructType([each for each in table.schema if each.name not in table.partition_by])
    shares: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for file in files:
        keys = ds.get_partition_keys(file.partition_expression)
        shares[tuple(keys[name] for name in table.partition_by)].append(f"{uri}/{file.path}")
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
        stats=json.dumps(_statistics(footer, columns)),
    )


def _statistics(footer: pq.FileMetaData, columns: Collection[str]) -> dict[str, Any]:
    """How many rows there are, and of `columns` the ends and the nulls, where the footer has them.

    Source: the Delta transaction protocol, per-file statistics.
    """
    told: dict[str, Any] = {"numRecords": footer.num_rows}
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    for at in range(footer.num_columns):
        path = footer.schema.column(at).path
        parts = [group.column(at).statistics for group in groups]
        if path not in columns or not all(part and part.has_null_count for part in parts):
            continue
        _put(told, ("nullCount", path), sum(part.null_count for part in parts))
        if ends := _ends([part for part in parts if part.num_values]):
            _put(told, ("minValues", path), ends[0])
            _put(told, ("maxValues", path), ends[1])
    return told


def _ends(parts: Sequence[pq.Statistics]) -> tuple[Scalar, Scalar] | None:
    """The least and the largest value; None where a footer does not say, or Delta has no form."""
    try:
        ends = [(part.min, part.max) for part in parts if part.has_min_max]
    except OverflowError:  # a time of a year that Python does not know
        return None
    if not ends or len(ends) < len(parts) or not isinstance(ends[0][0], Scalar):
        return None
    return _plain(min(low for low, _ in ends)), _plain(max(high for _, high in ends))


def _put(told: dict[str, Any], path: tuple[str, str], value: Scalar) -> None:
    kind, column = path
    *outer, last = (kind, *column.split("."))
    for step in outer:
        told = told.setdefault(step, {})
    told[last] = value


def _plain(value: Scalar) -> Scalar:
    return value.isoformat() if isinstance(value, datetime) else value
