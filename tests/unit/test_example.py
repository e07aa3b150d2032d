"""Examples are what a protobuf library reads, byte for byte, whatever a column holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tfrecord import example_pb2

from processor.datasets.example import encode, payloads, varint
from processor.datasets.plain import json_text, plain
from processor.errors import ProcessorError

whole = st.integers(-(2**63), 2**63 - 1)
texts = st.sampled_from(["", "\0", "Grüße", "x" * 200]) | st.text(max_size=3)
numbers = st.floats(width=64)

KINDS: Mapping[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "f": (pa.float64(), numbers),
    "g": (pa.float32(), st.floats(width=32)),
    "i": (pa.int64(), whole),
    "s": (pa.string(), texts),
    "st": (pa.bool_(), st.booleans()),
    "é": (pa.list_(pa.float64()), st.lists(numbers, max_size=3)),
    "A": (pa.list_(pa.string()), st.lists(texts, max_size=3)),
    "a.b": (pa.list_(pa.int64()), st.lists(whole, max_size=40)),
}
SCHEMA = pa.schema([(name, kind) for name, (kind, _) in KINDS.items()])
rows_of_every_kind = st.lists(
    st.fixed_dictionaries({name: st.none() | values for name, (_, values) in KINDS.items()}),
    max_size=5,
)
patient = settings(suppress_health_check=[HealthCheck.too_slow])
"""A machine that does other things too is slow, not wrong."""


def single(value: float) -> float:
    """The nearest 32-bit float; every NaN is one."""
    with np.errstate(over="ignore", under="ignore"):
        return math.nan if math.isnan(value) else float(np.float32(value))


def reference(row: Mapping[str, Any]) -> bytes:
    """The row by protobuf, one feature after the other in the order of the bytes of their names."""
    entries = b""
    for name in sorted((n for n, value in row.items() if value is not None), key=str.encode):
        one = example_pb2.Features()
        value = row[name]
        items = value if isinstance(value, list) else [value]
        kind = KINDS[name][0]
        inner = kind.value_type if pa.types.is_list(kind) else kind
        if pa.types.is_floating(inner):
            one.feature[name].float_list.SetInParent()
            one.feature[name].float_list.value.extend(map(single, items))
        elif pa.types.is_string(inner):
            one.feature[name].bytes_list.SetInParent()
            one.feature[name].bytes_list.value.extend(item.encode() for item in items)
        else:
            one.feature[name].int64_list.SetInParent()
            one.feature[name].int64_list.value.extend(map(int, items))
        entries += one.SerializeToString()
    example = example_pb2.Example(features=example_pb2.Features.FromString(entries))
    assert len(example.features.feature) == sum(value is not None for value in row.values())
    return b"\x0a" + varint(len(entries)) + entries


def encoded(rows: list[dict[str, Any]], schema: pa.Schema = SCHEMA) -> list[bytes]:
    return list(payloads(encode(pa.RecordBatch.from_pylist(rows, schema))))


@patient
@given(rows_of_every_kind)
def test_every_row_is_as_protobuf_writes_it(rows: list[dict[str, Any]]) -> None:
    assert encoded(rows) == [reference(row) for row in rows]


@patient
@given(rows_of_every_kind, st.integers(0, 4), st.integers(0, 5))
def test_part_of_a_batch_is_part_of_its_rows(
    rows: list[dict[str, Any]], start: int, length: int
) -> None:
    batch = pa.RecordBatch.from_pylist(rows, SCHEMA)
    assert list(payloads(encode(batch.slice(start, length)))) == encoded(rows)[start:][:length]


@patient
@given(st.integers(0, 2**64 - 1))
def test_a_length_is_read_back(number: int) -> None:
    said = varint(number)
    assert sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(said)) == number
    assert [byte >> 7 for byte in said] == [1] * (len(said) - 1) + [0]


def test_nested_values_are_json_text() -> None:
    kind = pa.struct([("b", pa.float64()), ("a", pa.list_(pa.string()))])
    schema = pa.schema([("said", kind), ("map", pa.map_(pa.string(), pa.int64()))])
    row = {"said": {"b": math.inf, "a": ["é"]}, "map": [("z", 1), ("a", 2)]}
    (example,) = encoded([row], schema)
    said = example_pb2.Example.FromString(example).features.feature
    assert said["said"].bytes_list.value == ['{"a":["é"],"b":"Infinity"}'.encode()]
    assert said["map"].bytes_list.value == [b'{"a":2,"z":1}']


def test_json_text_says_what_json_cannot() -> None:
    assert json_text([math.nan, -math.inf, 0.1, None, True]) == '["NaN","-Infinity",0.1,null,true]'


@pytest.mark.parametrize(
    "column",
    [pa.array([b"x"]), pa.array([[1, None]]), pa.array([None], pa.date32())],
    ids=["bytes", "a null in a list", "a date"],
)
def test_what_has_no_plain_form_is_refused(column: pa.Array) -> None:
    with pytest.raises(ProcessorError, match="remedy"):
        plain(column)


def test_a_column_of_codes_is_what_they_stand_for() -> None:
    codes = pa.array(["a", "b", None, "a"]).dictionary_encode()
    assert plain(codes).to_pylist() == [[b"a"], [b"b"], None, [b"a"]]
