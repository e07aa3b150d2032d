"""The digest of rows follows from the rows: not from their order, their files or their nulls."""

from __future__ import annotations

import hashlib
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tfrecord import example_pb2

from processor.datasets.content import add, digest, digest_of

SCHEMA = pa.schema([("id", pa.string()), ("x", pa.float64()), ("c", pa.string())])
Row = dict[str, Any]
rows = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from("abc"),
            "x": st.none() | st.sampled_from([0.0, 1.5, 0.1]),
            "c": st.none() | st.sampled_from(["", "é"]),
        }
    ),
    max_size=6,
)
patient = settings(suppress_health_check=[HealthCheck.too_slow])
"""A machine that does other things too is slow, not wrong."""


def table(found: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(found, SCHEMA)


def by_hand(found: list[Row]) -> str:
    """As the guide says: SHA-256 of each Example, summed."""
    total = 0
    for row in found:
        entries = b""
        for name in sorted(row):
            value = row[name]
            if value is None:
                continue
            one = example_pb2.Features()
            if isinstance(value, float):
                one.feature[name].float_list.value.append(value)
            else:
                one.feature[name].bytes_list.value.append(value.encode())
            entries += one.SerializeToString()
        example = b"\x0a" + bytes([len(entries)]) + entries
        total += int.from_bytes(hashlib.sha256(example).digest(), "big")
    return f"{total % 2**256:064x}"


@patient
@given(rows.flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))))
def test_rows_in_any_order_have_the_digest_that_the_guide_describes(
    orders: tuple[list[Row], list[Row]],
) -> None:
    found, shuffled = orders
    assert digest(table(found)) == digest(table(shuffled)) == by_hand(found)


@patient
@given(rows, rows)
def test_parts_add_up_and_other_rows_are_another_digest(one: list[Row], other: list[Row]) -> None:
    assert add([digest(table(one)), digest(table(other))]) == digest(table(one + other))
    told = (sorted(repr(sorted(row.items())) for row in rows) for rows in (one, other))
    first, second = told
    assert (digest(table(one)) == digest(table(other))) == (first == second)


def test_a_column_of_nulls_is_no_column() -> None:
    found = table([{"id": "a", "x": None, "c": None}])
    assert digest(found) == digest(found.drop_columns(["x"]))
    assert digest(found.to_batches()[0]) == digest(found)


def test_no_rows_are_nought() -> None:
    assert digest(table([])) == digest_of([]) == add([]) == "0" * 64
