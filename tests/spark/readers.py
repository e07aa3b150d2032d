"""Readers that are not this project's: each gives the rows of files as an Arrow table."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import crc32c
import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from datasets import Dataset, load_dataset
from deltalake import DeltaTable
from tfrecord import example_pb2
from tfrecord.reader import tfrecord_iterator

Reader = Callable[[Path, Sequence[Path], pa.Schema], pa.Table]
"""The rows of a split: from the format's folder, the split's files, and the rows' schema."""

DUCK = {"timestamp[us, tz=UTC]": "TIMESTAMPTZ", "double": "DOUBLE", "string": "VARCHAR"}
DUCK |= {"int64": "BIGINT", "bool": "BOOLEAN"}


def duckdb_parquet(folder: Path, files: Sequence[Path], schema: pa.Schema) -> pa.Table:
    return duckdb.read_parquet([str(file) for file in files]).to_arrow_table()


def pandas_parquet(folder: Path, files: Sequence[Path], schema: pa.Schema) -> pa.Table:
    """Columns stay Arrow's: NumPy would make a null a NaN."""
    read = [pd.read_parquet(file, dtype_backend="pyarrow") for file in files]
    return pa.Table.from_pandas(pd.concat(read), schema, preserve_index=False)


def delta_rs(folder: Path, files: Sequence[Path], schema: pa.Schema) -> pa.Table:
    filesystem = pafs.SubTreeFileSystem(str(folder), pafs.LocalFileSystem())
    found = DeltaTable(str(folder)).to_pyarrow_table(
        filters=[("split", "=", files[0].parent.name)], filesystem=filesystem
    )
    return found.drop_columns(["split"])


def duckdb_jsonl(folder: Path, files: Sequence[Path], schema: pa.Schema) -> pa.Table:
    """Casts that DuckDB knows bring back NaN and times."""
    columns = {field.name: duck_type(field.type) for field in schema}
    names = [str(file) for file in files]
    return duckdb.read_json(names, format="newline_delimited", columns=columns).to_arrow_table()


def duck_type(kind: pa.DataType) -> str:
    if pa.types.is_map(kind):
        return f"MAP({duck_type(kind.key_type)}, {duck_type(kind.item_type)})"
    if pa.types.is_list(kind):
        return f"{duck_type(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        inner = ", ".join(f"{field.name} {duck_type(field.type)}" for field in kind)
        return f"STRUCT({inner})"
    return DUCK[str(kind)]


def python_jsonl(folder: Path, files: Sequence[Path], schema: pa.Schema) -> pa.Table:
    """What any JSON parser sees; texts of numbers and times are read as the guide says."""

    def strict(constant: str) -> None:
        raise AssertionError(constant)

    rows = [
        json.loads(line, parse_constant=strict)
        for file in files
        for line in file.read_text(encoding="utf-8").split("\n")[:-1]
    ]
    assert all(list(row) == schema.names for row in rows)
    columns = [typed([row[field.name] for row in rows], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def hugging_face_parquet(folder: Path, files: Sequence[Path], schema: pa.Schema) -> pa.Table:
    with hugging_face("parquet", files) as read:
        return read.with_format("arrow")[:]


def hugging_face_jsonl(folder: Path, files: Sequence[Path], schema: pa.Schema) -> pa.Table:
    """It says itself what is a number; times are read as the guide says."""
    with hugging_face("json", files) as read:
        rows = read.to_list()
    columns = [typed([row[field.name] for row in rows], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


@contextmanager
def hugging_face(kind: str, files: Sequence[Path]) -> Iterator[Dataset]:
    with TemporaryDirectory() as cache:
        names = [str(file) for file in files]
        yield load_dataset(kind, data_files=names, split="train", cache_dir=cache)


def typed(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.string()).cast(kind)
    return pa.array([number(value, kind) for value in values], kind)


def number(value: Any, kind: pa.DataType) -> Any:  # noqa: ANN401  # JSON is anything
    if pa.types.is_floating(kind) and isinstance(value, str):
        return float(value)
    if pa.types.is_map(kind) and value is not None:
        return [(key, number(item, kind.item_type)) for key, item in value.items()]
    if pa.types.is_list(kind) and value is not None:
        return [number(item, kind.value_type) for item in value]
    if pa.types.is_struct(kind) and value is not None:
        return {field.name: number(value[field.name], field.type) for field in kind}
    return value


def tfrecord_package(folder: Path, files: Sequence[Path], schema: pa.Schema) -> pa.Table:
    """Examples by a protobuf library, records by the package and, with their CRCs, by the spec."""
    rows: list[dict[str, Any]] = []
    for file in files:
        records = [bytes(view) for view in tfrecord_iterator(str(file))]
        assert records == list(checked_records(file))
        rows += [features(record) for record in records]
    kinds = {field.name: tf_type(field.type) for field in schema}
    return pa.table(
        {name: pa.array([row.get(name) for row in rows], kind) for name, kind in kinds.items()}
    )


def features(record: bytes) -> dict[str, Any]:
    said = example_pb2.Example.FromString(record).features.feature
    return {name: list(getattr(said[name], said[name].WhichOneof("kind")).value) for name in said}


def tf_type(kind: pa.DataType) -> pa.DataType:
    """What the guide says that TFRecord makes of a type; a list of one where it is no list."""
    inner = kind.value_type if pa.types.is_list(kind) else kind
    if pa.types.is_floating(inner):
        return pa.list_(pa.float32())
    plain = pa.types.is_string(inner) or pa.types.is_nested(inner)
    return pa.list_(pa.string() if plain else pa.int64())


def checked_records(file: Path) -> Iterator[bytes]:
    """Each record of a file, once both of its checksums are right."""
    content = file.read_bytes()
    at = 0
    while at < len(content):
        (length, of_length) = struct.unpack_from("<QI", content, at)
        assert of_length == masked(content[at : at + 8])
        record = content[at + 12 : at + 12 + length]
        assert len(record) == length
        assert struct.unpack_from("<I", content, at + 12 + length) == (masked(record),)
        at += 12 + length + 4
        yield record


def masked(content: bytes) -> int:
    """`((crc >> 15) | (crc << 17)) + 0xa282ead8`, in 32 bits: TensorFlow's page on TFRecord."""
    crc = int(crc32c.crc32c(content))
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) % 2**32


def arrow_parquet(folder: Path, files: Sequence[Path], schema: pa.Schema) -> pa.Table:
    return pa.concat_tables([pq.read_table(file) for file in files])


READERS: dict[str, tuple[Reader, ...]] = {
    "parquet": (duckdb_parquet, pandas_parquet, arrow_parquet),
    "delta": (delta_rs, duckdb_parquet),
    "jsonl": (python_jsonl, duckdb_jsonl),
    "tfrecord": (tfrecord_package,),
}
"""Who else reads a format; a format that nobody else reads fails."""

HUGGING_FACE: dict[str, Reader] = {"parquet": hugging_face_parquet, "jsonl": hugging_face_jsonl}
"""It knows no maps, and of JSON no numbers that are not finite."""
