"""Which state of its session an inference is told of, and why not of another: without a JVM.

The same as `processor.datasets.as_of` finds for many.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from processor.loops import ATTRIBUTE, EnrichConfig
from processor.stages import lookup
from processor.stages.landing import attempt
from processor.warehouse import Warehouse

Row = dict[str, Any]


def states(warehouse: Warehouse, output: Row, told: EnrichConfig, as_of: int) -> list[Row]:
    """Each state of the session of an output, as of a batch; nothing where nothing is asked for."""
    if not told.session or not output["session_id"]:
        return []
    rows = lookup.session(warehouse, output["session_id"], as_of)
    amiss = [_amiss(row, output, told) for row in rows]
    known = [row for row, why in zip(rows, amiss, strict=True) if why is None]
    last = max(known, key=_order, default=None)
    return [
        {
            **attempt(row),
            **{name: row[name] for name in ("event_id", "event_time", "seq")},
            "values": {name: _value(row, name) for name in told.session},
            "counts": row is last and bool(row["training_allowed"]),
            "why": why or _standing(row, last),
        }
        for row, why in zip(rows, amiss, strict=True)
    ]


def _amiss(row: Row, output: Row, told: EnrichConfig) -> str | None:
    """Why a state was not known at the inference; None if it was."""
    at: datetime = output["event_time"]
    if row["event_time"] > at:
        return "it happened after the inference"
    if row["origin"]["timestamp"] > at + told.tolerance:
        return "it was said after the inference"
    if row["event_time"] <= (output["response_time"] or at) - told.max_age:
        return "it is older than max_age"
    return None


def _standing(row: Row, last: Row | None) -> str:
    if row is not last:
        return "a later one was known"
    return "the last that was known" + ("" if row["training_allowed"] else ": allows no training")


def _order(row: Row) -> tuple[Any, ...]:
    return row["event_time"], row["seq"], row["batch_id"], *lookup.place(row)


def _value(row: Row, name: str) -> str | None:
    if name.startswith(ATTRIBUTE):
        return dict(row["attributes"] or ()).get(name.removeprefix(ATTRIBUTE))
    found: str | None = row[name]
    return found
