"""What is in quarantine, counted by code in Arrow: no JVM, and one row of Python a code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from processor.stages.expired import MEANING
from processor.stages.typed import FIRST_ATTEMPT
from processor.table import Table
from processor.tables import EXPIRED, TYPED
from processor.warehouse import Warehouse

_PLACE = ("topic", "partition", "offset")
_EVENT = ("batch_id", *_PLACE)  # a topic that was made anew has the same places again


def standing(warehouse: Warehouse, as_of: int | None = None) -> dict[str, Any]:
    """What the last attempt of every record says as of a batch (None: the last one).

    `defective` records, `replayed` attempts, `recovered` records; and by table and code how many
    are `defective` still, with the first place as `example` and its `detail`.
    """
    told = {name: _ever_defective(warehouse, table, as_of) for name, table in TYPED.items()}
    last = {name: _last_attempts(rows) for name, rows in told.items()}
    bad = {name: rows.filter(_has_defects(rows)) for name, rows in last.items()}
    return {
        "defective": sum(rows.num_rows for rows in bad.values()),
        "replayed": sum(pc.sum(_is_again(rows)).as_py() or 0 for rows in told.values()),
        "recovered": sum(last[name].num_rows - bad[name].num_rows for name in TYPED),
        "codes": [{"table": name, **row} for name, rows in bad.items() for row in _codes(rows)],
    }


def expired(warehouse: Warehouse, loop: str | None = None) -> list[dict[str, Any]]:
    """How many answers came to nothing, by loop, metric and reason, with the first as `example`."""
    names = ("loop", "metric", "reason")
    where = [("loop", "=", loop)] if loop is not None else []
    rows = warehouse.rows(EXPIRED, columns=[*names, "origin"], where=where)
    origin = rows["origin"].combine_chunks()
    places = {name: pc.struct_field(origin, name) for name in _PLACE}
    counted = (
        pa.table({**{name: rows[name] for name in names}, **places})
        .sort_by([(name, "ascending") for name in (*names, *_PLACE)])
        .group_by(list(names), use_threads=False)
        .aggregate([([], "count_all"), *((name, "first") for name in _PLACE)])
    )
    return [
        {
            **{name: row[name] for name in names},
            "n": row["count_all"],
            "why": MEANING[row["reason"]],
            "example": {name: row[f"{name}_first"] for name in _PLACE},
        }
        for row in counted.to_pylist()
    ]


def by_code(rows: pa.Table) -> list[dict[str, Any]]:
    """How often each code occurs in typed rows, and where first, by topic, partition and offset."""
    said = rows["defects"].combine_chunks()
    of = pc.list_parent_indices(said)
    places = pc.take(rows["origin"].combine_chunks(), of)
    flat = pc.list_flatten(said)
    columns = {
        **{name: pc.struct_field(flat, name) for name in ("code", "detail")},
        **{name: pc.struct_field(places, name) for name in _PLACE},
    }
    firsts = [(name, "first") for name in (*_PLACE, "detail")]
    counted = (
        pa.table(columns)
        .sort_by([(name, "ascending") for name in ("code", *_PLACE, "detail")])
        .group_by("code", use_threads=False)
        .aggregate([([], "count_all"), *firsts])
    )
    return [
        {
            "code": row["code"],
            "n": row["count_all"],
            "detail": row["detail_first"],
            **{f"example_{name}": row[f"{name}_first"] for name in _PLACE},
        }
        for row in counted.to_pylist()
    ]


def _codes(rows: pa.Table) -> Iterable[dict[str, Any]]:
    for row in by_code(rows):
        example = {name: row[f"example_{name}"] for name in _PLACE}
        yield {name: row[name] for name in ("code", "n", "detail")} | {"example": example}


def _ever_defective(warehouse: Warehouse, table: Table, as_of: int | None) -> pa.Table:
    """Every attempt that has defects or follows one that had; only their batches are read whole."""
    heads = warehouse.rows(table, as_of, ["batch_id", "attempt", "defects"])
    batches = pc.unique(heads.filter(_of_note(heads))["batch_id"]).to_pylist()
    wanted = ["origin", "attempt", "defects"]
    empty = table.arrow.empty_table().select(wanted)
    found = (
        warehouse.rows(table, columns=wanted, where=[("batch_id", "=", number)])
        for number in batches
    )
    return pa.concat_tables([empty, *(rows.filter(_of_note(rows)) for rows in found)])


def _last_attempts(rows: pa.Table) -> pa.Table:
    """Of the attempts at a record, the last."""
    origin = rows["origin"].combine_chunks()
    keys = {name: pc.struct_field(origin, name) for name in _EVENT}
    numbered = pa.table(
        {**keys, "attempt": rows["attempt"], "row": pa.array(range(rows.num_rows), pa.int64())}
    )
    last = (
        numbered.sort_by([(name, "ascending") for name in (*_EVENT, "attempt")])
        .group_by(list(_EVENT), use_threads=False)
        .aggregate([("row", "last")])
    )
    return rows.take(last["row_last"])


def _of_note(rows: pa.Table) -> pa.ChunkedArray:
    return pc.or_(_has_defects(rows), _is_again(rows))


def _has_defects(rows: pa.Table) -> pa.ChunkedArray:
    return pc.greater(pc.list_value_length(rows["defects"]), 0)


def _is_again(rows: pa.Table) -> pa.ChunkedArray:
    return pc.greater(rows["attempt"], FIRST_ATTEMPT)
