"""Plain columns: what a feature can hold in every format, whole numbers, numbers or text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from processor.errors import ProcessorError

NOT_A_NUMBER = np.float32(np.nan)
"""Every NaN is written as this one: 0x7fc00000."""


def plain(column: pa.Array) -> pa.LargeListArray:
    """`column` as lists of int64, float32 or large_binary; a null stays null, a value is one item.

    Booleans become 0 and 1, times microseconds since 1970 (UTC), numbers their nearest 32-bit
    float, text its UTF-8. Lists keep their items; whatever else is nested becomes JSON text.

    Raises:
        ProcessorError: the type has no plain form, or a list holds a null.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if is_nested(column.type):
        return _lists(pa.array(_texts(column), pa.large_string()).cast(pa.large_binary()))
    if not pa.types.is_list(column.type) and not pa.types.is_large_list(column.type):
        return _lists(_scalars(column))
    items = column.flatten()
    if items.null_count:
        raise ProcessorError("a list of features holds a null", remedy="leave the item out")
    counts = pc.fill_null(pc.list_value_length(column), 0)
    return _grouped(counts, _scalars(items), column.is_null())


def is_nested(kind: pa.DataType) -> bool:
    """Whether values of this type are more than one number or text, or a list of such."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return bool(pa.types.is_nested(kind.value_type))
    return bool(pa.types.is_nested(kind))


def json_text(value: object) -> str:
    """JSON in which the same value is the same text: keys sorted, no spaces."""
    return json.dumps(_said(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def number_text(value: float) -> str:
    """A number in JSON; what JSON has no number for is the text NaN, Infinity or -Infinity."""
    if math.isfinite(value):
        return repr(value)
    return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'


def time_texts(column: pa.Array) -> list[str]:
    """Times in JSON: ISO 8601, microseconds, UTC; of years that Python's calendar lacks too."""
    micros = column.cast(pa.timestamp("us"), safe=False).to_numpy(zero_copy_only=False)
    return [f"{text}Z" for text in np.datetime_as_string(micros, unit="us").tolist()]


def _said(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else json.loads(number_text(value))
    if isinstance(value, datetime):
        return time_texts(pa.array([value], pa.timestamp("us")))[0]
    if isinstance(value, Mapping):
        return {str(key): _said(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_said(item) for item in value]
    return value


def _texts(column: pa.Array) -> list[str | None]:
    listed = column.to_pylist(maps_as_pydicts="strict")
    return [None if value is None else json_text(value) for value in listed]


def _scalars(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind):
        return column.cast(pa.int64())
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64())
    if pa.types.is_floating(kind):
        return _singles(column)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column.cast(pa.large_string()).cast(pa.large_binary())
    raise ProcessorError(f"a column of {kind} has no plain form", remedy="cast it to text")


def _singles(column: pa.Array) -> pa.Array:
    """Rounded to 32 bits; what is too large for them is infinite."""
    numbers = column.fill_null(0).to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore", under="ignore"):
        rounded = numbers.astype(np.float32)
    singles = np.where(np.isnan(rounded), NOT_A_NUMBER, rounded)
    nulls = column.is_null().to_numpy(zero_copy_only=False)
    return pa.array(singles, pa.float32(), mask=nulls, from_pandas=False)


def _lists(column: pa.Array) -> pa.LargeListArray:
    """Each value as a list of one."""
    return _grouped(pc.cast(column.is_valid(), pa.int64()), column.drop_null(), column.is_null())


def _grouped(counts: pa.Array, items: pa.Array, nulls: pa.Array) -> pa.LargeListArray:
    offsets = np.concatenate(([0], np.cumsum(counts.to_numpy(zero_copy_only=False))))
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), items, mask=nulls)
