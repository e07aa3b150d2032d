"""What the report is made of, read from the warehouse as of a batch; no JVM, no broker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from processor.config import Config
from processor.report.document import document
from processor.tables import (
    BATCHES,
    DATASETS,
    DECISIONS,
    MEASUREMENTS,
    PROOFS,
    RECEIPTS,
    RUNS,
    TYPED,
    Table,
)
from processor.warehouse import Warehouse

SMALL = (BATCHES, PROOFS, DATASETS, MEASUREMENTS, DECISIONS, RECEIPTS, RUNS)
"""The tables that are read whole."""

_FIRST_ATTEMPT = ("attempt", "=", 1)
"""A replay appends attempts to rows that were counted: each log row is one typed row, once."""


def gathered(config: Config, warehouse: Warehouse, batch_id: int) -> dict[str, Any]:
    """The document of `batch_id`, as of it, as `processor.report.document` makes it."""
    tables: dict[str, list[dict[str, Any]]] = {
        table.name: warehouse.rows(table, as_of=batch_id).to_pylist() for table in SMALL
    }
    tables["typed"] = [row for name in TYPED for row in typed_counts(warehouse, name, batch_id)]
    tables["defects"] = [
        {**row, "batch_id": number, "table": name}
        for name, number in _defective(tables["typed"])
        for row in defect_counts(warehouse, TYPED[name], number)
    ]
    return document(tables, batch_id, list(config.loop.values()))


def typed_counts(warehouse: Warehouse, name: str, batch_id: int) -> list[dict[str, Any]]:
    """How many rows each batch brought to a typed table, and how many of them are valid."""
    read = warehouse.rows(
        TYPED[name], as_of=batch_id, columns=["batch_id", "defects"], where=[_FIRST_ATTEMPT]
    )
    valid = pc.equal(pc.list_value_length(read["defects"]), 0)
    counted = (
        pa.table({"batch_id": read["batch_id"], "valid": pc.cast(valid, pa.int64())})
        .group_by("batch_id")
        .aggregate([([], "count_all"), ("valid", "sum")])
    )
    return [
        {
            "batch_id": row["batch_id"],
            "table": name,
            "rows": row["count_all"],
            "valid": row["valid_sum"] or 0,
        }
        for row in counted.to_pylist()
    ]


def _defective(typed: Iterable[dict[str, Any]]) -> list[tuple[str, int]]:
    """The tables and batches whose rows have to be looked at for defects."""
    return [(row["table"], row["batch_id"]) for row in typed if row["rows"] > row["valid"]]


def defect_counts(warehouse: Warehouse, table: Table, number: int) -> list[dict[str, Any]]:
    """How often each code occurs in one batch, and where first, by topic, partition and offset.

    Counted in Arrow: what becomes Python is one row a code, however many records are bad.
    """
    read = warehouse.rows(
        table,
        columns=["batch_id", "origin", "defects"],
        where=[("batch_id", "=", number), _FIRST_ATTEMPT],
    )
    said = read["defects"].combine_chunks()
    of = pc.list_parent_indices(said)
    places = pc.take(read["origin"].combine_chunks(), of)
    flat = pc.list_flatten(said)
    columns = {
        **{name: pc.struct_field(flat, name) for name in ("code", "detail")},
        **{name: pc.struct_field(places, name) for name in ("topic", "partition", "offset")},
    }
    by_place = [(name, "ascending") for name in ("code", "topic", "partition", "offset", "detail")]
    firsts = [(name, "first") for name in ("topic", "partition", "offset", "detail")]
    counted = (
        pa.table(columns)
        .sort_by(by_place)
        .group_by("code", use_threads=False)
        .aggregate([([], "count_all"), *firsts])
    )
    return [
        {
            "code": row["code"],
            "n": row["count_all"],
            "detail": row["detail_first"],
            **{f"example_{n}": row[f"{n}_first"] for n in ("topic", "partition", "offset")},
        }
        for row in counted.to_pylist()
    ]
