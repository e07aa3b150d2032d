"""The document of a batch: everything the report shows, from plain rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from processor.loops import LoopConfig
from processor.report import account, summary
from processor.report.loop import section
from processor.report.rows import Row, Rows, ordered, pick, where

TABLES = (
    *("batches", "proofs", "datasets", "measurements", "decisions", "receipts", "runs"),
    *("defects", "typed", "replayed"),
)
FORMAT = 1
"""Raised when a reader of report.json has to change."""


def document(
    tables: Mapping[str, Rows], batch_id: int, loops: Sequence[LoopConfig]
) -> dict[str, Any]:
    """What is to be said of `batch_id`, JSON-ready; equal rows in any order give equal documents.

    `tables` holds rows of each of `TABLES`; those of later batches are not looked at. `defects`
    rows: batch_id, table, code, n, example_topic, example_partition, example_offset, detail;
    `typed` and `replayed` rows: batch_id, table, rows, valid. A loop that is no longer configured
    and has rows is told of too. Times are ISO 8601 in UTC.
    """
    known = {n: [r for r in tables[n] if r["batch_id"] <= batch_id] for n in TABLES}
    planned = ordered(where(known["batches"], batch_id=batch_id), "topic", "partition")[0]
    head = ("planned_at", "cut_time", "run_id", "config_hash", "code_version")
    body: dict[str, Any] = {
        "batch": batch_id,
        **pick(planned, *head),
        "accounts": account.accounts(known),
        "ranges": account.ranges(known, batch_id),
        "typed": account.typed(known, batch_id),
        "defects": account.defects(known, batch_id),
        "loops": _loops(known, batch_id, loops),
        "published": [_receipt(row) for row in ordered(known["receipts"], *_PLACE)],
        "runs": [_run(row) for row in _before(known["runs"], batch_id)],
    }
    return {"format": FORMAT, "summary": summary.sentences(body), **body}


_PLACE = ("batch_id", "topic", "partition", "offset", "event_id")


def _loops(
    tables: Mapping[str, Rows], batch_id: int, loops: Sequence[LoopConfig]
) -> list[Mapping[str, Any]]:
    configured = {each.loop: each for each in loops}
    kinds = ("measurements", "datasets", "decisions")
    named = configured.keys() | {row["loop"] for kind in kinds for row in tables[kind]}
    return [section(name, configured.get(name), tables, batch_id) for name in sorted(named)]


def _receipt(row: Row) -> dict[str, Any]:
    return pick(row, "batch_id", "record", "topic", "partition", "offset", "event_id")


def _before(runs: Rows, batch_id: int) -> Rows:
    """What ran before this report: its own writing is none, or written again it would differ."""
    own = (batch_id, "report")
    before = [row for row in runs if (row["batch_id"], row["stage"]) != own]
    return ordered(before, "batch_id", "started_at", "stage")


def _run(row: Row) -> dict[str, Any]:
    begun, ended = row["started_at"], row["ended_at"]
    timed = isinstance(begun, datetime) and isinstance(ended, datetime)
    wanted = ("rows", "bytes", "cpu_seconds", "outcome", "error")
    return {
        **pick(row, "batch_id", "run_id", "stage", "started_at"),
        "seconds": (ended - begun).total_seconds() if timed else None,
        **pick(row, *wanted),
    }
