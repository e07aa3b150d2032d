"""Single events found in the tables, by place or by name: no JVM, and nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow.compute as pc

from processor.feedback import Answer, Question, Served, read, served
from processor.plugins import nearest
from processor.table import Table
from processor.tables import COORDINATES, PROOFS, TYPED
from processor.warehouse import Warehouse

Row = dict[str, Any]
MOST_NAMES = 200  # of those that begin like a name that is not there
_NAMED_BY = (
    "inference_id",
    ("preference", "a_inference_id"),
    ("preference", "b_inference_id"),
)
"""Where an event may name the inference that it is about; its signal says which of them counts."""


class Heard(NamedTuple):
    """A typed row, and what it says of an inference."""

    row: Row
    answer: Answer


def attempts(
    warehouse: Warehouse, table: Table, topic: str, partition: int, offset: int
) -> list[Row]:
    """Every typed row of one place in the log, in order of attempt."""
    place = zip(COORDINATES, (topic, partition, offset), strict=True)
    where = [(("origin", name), "=", value) for name, value in place]
    return arrived(warehouse.rows(table, where=where).to_pylist())


def inference(warehouse: Warehouse, inference_id: str, as_of: int | None = None) -> list[Row]:
    """Every typed row of an inference, in order of arrival."""
    where = [("inference_id", "=", inference_id)]
    return arrived(warehouse.rows(TYPED["inferences"], as_of, where=where).to_pylist())


def session(warehouse: Warehouse, session_id: str, as_of: int | None = None) -> list[Row]:
    """Every valid state of a session, each event once, in order of arrival."""
    where = [("session_id", "=", session_id)]
    rows = arrived(warehouse.rows(TYPED["sessions"], as_of, where=where).to_pylist())
    first: dict[str, Row] = {}
    for row in rows:
        if not row["defects"]:
            first.setdefault(row["event_id"], row)
    return list(first.values())


def outputs_in(warehouse: Warehouse, model: str, session_id: str) -> list[str]:
    """The inferences of a model in a session, by name."""
    where = [("session_id", "=", session_id), ("model_name", "=", model)]
    columns = ["inference_id"]
    found = warehouse.rows(TYPED["inferences"], columns=columns, where=where)
    return sorted(set(found["inference_id"].to_pylist()))


def seen(
    warehouse: Warehouse, question: Question, key: str, as_of: int | None = None
) -> list[Served]:
    """The outputs that an answer with this key may be about, each as it first arrived."""
    where = [(question.level.key, "=", key), ("model_name", "=", question.model)]
    rows = arrived(warehouse.rows(TYPED["inferences"], as_of, where=where).to_pylist())
    first: dict[str, Served] = {}
    for row in rows:
        one = None if row["defects"] else served(row, question)
        if one is not None:
            first.setdefault(one.inference_id, one)
    return list(first.values())


def heard(
    warehouse: Warehouse, question: Question, key: str, as_of: int | None = None
) -> list[Heard]:
    """Every answer with this key, in order of arrival; `before` is filled in."""
    marks, named = watermarks(warehouse), question.level.event_key
    rows = [
        row
        for name in (_NAMED_BY if named is None else (named,))
        if _has(TYPED[question.signal.source], name)
        for row in warehouse.rows(
            TYPED[question.signal.source], as_of, where=[(name, "=", key)]
        ).to_pylist()
    ]
    once = {(*place(row), row["attempt"]): row for row in rows if not row["defects"]}
    return [
        Heard(row, answer)
        for row in arrived(once.values())
        for answer in said(row, question, marks)
        if answer.target == key
    ]


def said(row: Row, question: Question, marks: Mapping[int, datetime]) -> list[Answer]:
    """What a typed row says; it knows which watermark was passed before it arrived."""
    return read(row, question, marks.get(row["batch_id"] - 1))


def watermarks(warehouse: Warehouse) -> dict[int, datetime]:
    """The watermark of each batch that has one."""
    rows = warehouse.rows(PROOFS, columns=["batch_id", "watermark"]).to_pylist()
    return {row["batch_id"]: row["watermark"] for row in rows if row["watermark"] is not None}


def arrived(rows: Iterable[Row]) -> list[Row]:
    """Typed rows in order of arrival: by batch, then where they stand in the log."""
    return sorted(rows, key=lambda row: (row["batch_id"], *place(row), row["attempt"]))


def place(row: Row) -> tuple[int, str, int, int]:
    """Where a typed row stands in the log: the batch that landed it, topic, partition, offset."""
    origin = row["origin"]
    return (origin["batch_id"], *(origin[name] for name in COORDINATES))


def nearest_inference(warehouse: Warehouse, inference_id: str) -> str:
    """A remedy for a name that no inference has: one that begins like it."""
    ids = warehouse.rows(TYPED["inferences"], columns=["inference_id"])["inference_id"]
    for length in range(len(inference_id), -1, -1):
        alike = ids.filter(pc.starts_with(ids, inference_id[:length]))
        if len(alike):
            return nearest(inference_id, alike.slice(0, MOST_NAMES).to_pylist())
    return "no inference has landed yet"


def _has(table: Table, name: str | tuple[str, str]) -> bool:
    return (name if isinstance(name, str) else name[0]) in table.schema.names
