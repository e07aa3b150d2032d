"""What the report is made of, read from the warehouse as of a batch; no JVM, no broker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from processor.config import Config
from processor.report import lineage
from processor.report.document import document
from processor.stages.quarantine import by_code
from processor.stages.typed import FIRST_ATTEMPT
from processor.table import Table
from processor.tables import (
    BATCHES,
    DATASETS,
    DECISIONS,
    MEASUREMENTS,
    PROOFS,
    RECEIPTS,
    RUNS,
    TYPED,
)
from processor.warehouse import Warehouse

SMALL = (BATCHES, PROOFS, DATASETS, MEASUREMENTS, DECISIONS, RECEIPTS, RUNS)
"""The tables that are read whole."""

_FIRST = ("attempt", "=", FIRST_ATTEMPT)
_AGAIN = ("attempt", ">", FIRST_ATTEMPT)
"""A replay appends attempts to rows that were counted: each log row is one typed row, once."""


class Gathered(NamedTuple):
    """The document of a batch, and its lineage events."""

    document: dict[str, Any]
    events: list[dict[str, Any]]


def gathered(
    config: Config, warehouse: Warehouse, batch_id: int, *, finished: bool = True
) -> Gathered:
    """What `processor.report` makes of `batch_id`, as of it; `finished`: all but its report is."""
    tables: dict[str, list[dict[str, Any]]] = {
        table.name: warehouse.rows(table, as_of=batch_id).to_pylist() for table in SMALL
    }
    tables["typed"] = [row for name in TYPED for row in typed_counts(warehouse, name, batch_id)]
    tables["replayed"] = [row for n in TYPED for row in replayed_counts(warehouse, n, batch_id)]
    tables["defects"] = [
        {**row, "batch_id": number, "table": name}
        for name, number in _defective(tables["typed"])
        for row in defect_counts(warehouse, TYPED[name], number)
    ]
    servers, topics = config.kafka.bootstrap_servers, config.topics.by_topic()
    site = lineage.Site(warehouse.root, servers, topics)
    return Gathered(
        document(tables, batch_id, list(config.loop.values())),
        lineage.events(tables, batch_id, site, finished=finished),
    )


def typed_counts(
    warehouse: Warehouse, name: str, batch_id: int, since: int = 1
) -> list[dict[str, Any]]:
    """How many rows each batch landed of a typed table, and how many of them it found valid."""
    return _counts(warehouse, name, batch_id, (_FIRST, ("batch_id", ">=", since)))


def replayed_counts(warehouse: Warehouse, name: str, batch_id: int) -> list[dict[str, Any]]:
    """How many rows each batch decoded again of a typed table, and how many are valid since."""
    return _counts(warehouse, name, batch_id, (_AGAIN,))


def _counts(
    warehouse: Warehouse, name: str, batch_id: int, where: Sequence[tuple[str, str, Any]]
) -> list[dict[str, Any]]:
    read = warehouse.rows(TYPED[name], batch_id, ["batch_id", "defects"], where)
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
    """How often each code occurs in what one batch landed, and where first."""
    wanted = ("batch_id", "origin", "defects")
    return by_code(warehouse.rows(table, None, wanted, [("batch_id", "=", number), _FIRST]))
