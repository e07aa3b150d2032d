"""Rows planted in the tables of a warehouse: inferences of a population, and what became known."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from processor.table import Table
from processor.warehouse import Warehouse
from tests.spark.population import Row


def put(warehouse: Warehouse, table: Table, rows: list[Row], number: int) -> None:
    """What a batch adds to a table; a column that a row leaves out is null."""
    told = pa.Table.from_pylist(rows, schema=table.arrow)
    warehouse.append_once(table, told, "test", number)


def place(row: Row, batch: int) -> Row:
    """Where an inference stands in the log."""
    offset = int(row["inference_id"][1:])
    return {"batch_id": batch, "topic": "t", "partition": 0, "offset": offset}


def typed(row: Row, batch: int) -> Row:
    """A row of `inferences`: somebody saw it."""
    fixed = {"batch_id": batch, "attempt": 1, "defects": [], "origin": place(row, batch)}
    served = {"model_name": "m", "model_version": "1", "role": "PRIMARY", "status": "OK"}
    return {**row, **fixed, **served, "event_time": row["response_time"], "features_num": []}


def outcome(row: Row, batch: int, landed: int) -> Row:
    """A row of `outcomes`, of a batch; `landed` is the inference's own."""
    fixed = {"batch_id": batch, "loop": "l", "timing": "ON_TIME", "metric": "x"}
    return {**fixed, **row, "batch_id": batch, "origins": [place(row, landed)]}


def of(warehouse: Warehouse, table: Table, **equal: object) -> list[dict[str, Any]]:
    """The rows of a table that have these values."""
    where = [(name, "=", value) for name, value in equal.items()]
    rows: list[dict[str, Any]] = warehouse.rows(table, where=where).to_pylist()
    return rows
