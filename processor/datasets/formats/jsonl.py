"""jsonl: one JSON object a line, UTF-8, every column in each; a null is `null`.

Times are ISO 8601 with microseconds, UTC. JSON has no NaN and no infinity: they are the texts
"NaN", "Infinity" and "-Infinity", as in protobuf's JSON. Python writes the numbers, because
Java's text of a double changed between its releases.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from json.encoder import encode_basestring
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame

from processor.datasets import writing
from processor.datasets.formats.base import Format
from processor.datasets.plain import is_nested, json_text, number_text, time_texts

WINDOW = 1 << 20  # bytes read at a time when counting


def lines(rows: pa.RecordBatch) -> bytes:
    """The rows as lines."""
    names = [json.dumps(name, ensure_ascii=False).replace("%", "%%") for name in rows.schema.names]
    line = "{" + ",".join(f"{name}:%s" for name in names) + "}\n"
    columns = [_texts(column) for column in rows.columns]
    return "".join(line % cells for cells in zip(*columns, strict=True)).encode()


def write(rows: DataFrame, uri: str) -> None:
    """One file of lines for each split of each partition."""
    writing.write(rows, uri, lines)


def count(source: pa.NativeFile) -> int:
    """The number of line ends: within a row there are none."""
    rows = 0
    while window := source.read(WINDOW):
        rows += window.count(b"\n")
    return rows


def _texts(column: pa.Array) -> Iterable[str]:
    said = _writer(column.type)
    if pa.types.is_timestamp(column.type):
        column = pa.array(time_texts(column), mask=column.is_null().to_numpy(False))
    values = column.to_pylist(maps_as_pydicts="strict")
    return ("null" if value is None else said(value) for value in values)


def _writer(kind: pa.DataType) -> Callable[[Any], str]:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_timestamp(kind):
        return encode_basestring
    if pa.types.is_floating(kind):
        return number_text
    if pa.types.is_boolean(kind):
        return lambda value: "true" if value else "false"
    return json_text if is_nested(kind) or pa.types.is_list(kind) else str


ENTRY = Format("jsonl", ".jsonl", write, count)
