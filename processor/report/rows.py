"""Rows as a document holds them: JSON-ready, and in an order that their source cannot change."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

Row = Mapping[str, Any]
Rows = Sequence[Row]


def plain(value: Any) -> Any:  # noqa: ANN401  # any value of a row
    """`value` as JSON has it: times ISO 8601 in UTC, numbers that are none as null."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def ordered(rows: Iterable[Row], *names: str) -> list[Row]:
    """`rows` by the columns `names`, nulls first."""
    return sorted(rows, key=lambda row: tuple((row[n] is not None, row[n]) for n in names))


def where(rows: Iterable[Row], **equal: object) -> list[Row]:
    """The rows whose columns equal what is given."""
    return [row for row in rows if all(row[name] == value for name, value in equal.items())]


def pick(row: Row, *names: str) -> dict[str, Any]:
    """The columns `names` of a row, JSON-ready; `batch_id` is called `batch`."""
    return {("batch" if name == "batch_id" else name): plain(row[name]) for name in names}


def total(rows: Iterable[Row], name: str) -> int:
    """The sum of a column of counts."""
    return sum(row[name] for row in rows)
