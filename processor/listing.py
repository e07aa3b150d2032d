"""Which files of a table may hold rows that are asked for, by what its commits say of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce
from typing import Any, NamedTuple
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

Condition = tuple[str | tuple[str, str], str, Any]
"""A column (or a struct's column and its field), a comparison, and a value."""
Wanted = Sequence[Sequence[Condition]]
"""Rows that meet every condition of one of these."""

CUT = timedelta(milliseconds=1)
"""Delta's Spark cuts the ends of times, so a time may be so much later than the end says."""


class File(NamedTuple):
    """A file of a table, by its path in it and the values that name its folders."""

    path: str
    keys: tuple[str, ...]


def listed(actions: pa.Table, partition_by: Sequence[str], wanted: Wanted | None) -> list[File]:
    """The files (delta-rs's flat add actions) that may hold a row of `wanted` (None: any).

    What a commit does not say of a file may be anything.
    """
    if wanted is not None:
        parts = [reduce(pc.and_, [_possible(actions, one) for one in each]) for each in wanted]
        actions = actions.filter(reduce(pc.or_, parts))
    keys = [actions[f"partition.{name}"].to_pylist() for name in partition_by]
    paths = actions["path"].to_pylist()
    return [File(unquote(path), tuple(key)) for path, *key in zip(paths, *keys, strict=True)]


def _possible(actions: pa.Table, condition: Condition) -> pa.ChunkedArray:
    """Of each file, whether it may hold a row that meets the condition."""
    column, *_ = condition
    name = column if isinstance(column, str) else ".".join(column)
    if (key := f"partition.{name}") in actions.column_names:
        return _unless_known(_meets(actions[key], actions[key], condition))
    filled = pc.greater(_column(actions, "num_records"), _column(actions, f"null_count.{name}"))
    low, high = _column(actions, f"min.{name}"), _column(actions, f"max.{name}")
    return pc.and_(_unless_known(filled), _unless_known(_meets(low, high, condition)))


def _unless_known(test: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.fill_null(test, pa.scalar(True))


def _column(actions: pa.Table, name: str) -> pa.ChunkedArray:
    if name in actions.column_names:
        return actions[name]
    return pa.chunked_array([pa.nulls(actions.num_rows)])


def _meets(low: pa.ChunkedArray, high: pa.ChunkedArray, condition: Condition) -> pa.ChunkedArray:
    column, how, value = condition
    if how == "in":
        return reduce(pc.or_, [_meets(low, high, (column, "=", each)) for each in value])
    if how not in _COMPARED:
        return pa.chunked_array([pa.nulls(len(low), pa.bool_())])
    return _COMPARED[how](low, high, value)


def _at_least(high: pa.ChunkedArray, value: object, *, strictly: bool) -> pa.ChunkedArray:
    if isinstance(value, datetime):
        value -= CUT
    test = pc.greater if strictly else pc.greater_equal
    return test(high, _scalar(value, high))


def _scalar(value: object, like: pa.ChunkedArray) -> pa.Scalar:
    return pa.scalar(value) if pa.types.is_null(like.type) else pa.scalar(value, like.type)


_COMPARED: Mapping[str, Callable[[pa.ChunkedArray, pa.ChunkedArray, object], pa.ChunkedArray]] = {
    ">": lambda _low, high, value: _at_least(high, value, strictly=True),
    ">=": lambda _low, high, value: _at_least(high, value, strictly=False),
    "<": lambda low, _high, value: pc.less(low, _scalar(value, low)),
    "<=": lambda low, _high, value: pc.less_equal(low, _scalar(value, low)),
    "=": lambda low, high, value: pc.and_(
        pc.less_equal(low, _scalar(value, low)), _at_least(high, value, strictly=False)
    ),
}
