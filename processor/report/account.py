"""What became of every offset: the account of each batch, its ranges, and what was quarantined."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from processor.report.rows import Row, Rows, ordered, pick, plain, total, where

CAUSES = ("landed", "control", "aborted", "compacted", "lost")
"""What an offset can have become; the rest is unexplained."""


def accounts(tables: Mapping[str, Rows]) -> list[dict[str, Any]]:
    """The account of each batch: `expected` is the sum of its causes and of `unexplained`.

    `proved` is false while a batch is planned and not landed; `typed` = `valid` + `quarantined`,
    of what the batch landed. It `replayed` records of batches before, and `recovered` some.
    """
    numbers = sorted({row["batch_id"] for row in tables["batches"]})
    return [_account(tables, number) for number in numbers]


def _account(tables: Mapping[str, Rows], number: int) -> dict[str, Any]:
    planned = where(tables["batches"], batch_id=number)
    proofs = where(tables["proofs"], batch_id=number)
    typed = where(tables["typed"], batch_id=number)
    again = where(tables["replayed"], batch_id=number)
    expected = sum(row["end_offset"] - row["start_offset"] for row in planned)
    found = {name: total(proofs, name) for name in CAUSES}
    rows, valid = total(typed, "rows"), total(typed, "valid")
    marks = [row["watermark"] for row in proofs if row["watermark"] is not None]
    return {
        "batch": number,
        "planned_at": plain(planned[0]["planned_at"]),
        "expected": expected,
        **found,
        "unexplained": expected - sum(found.values()) if proofs else 0,
        "proved": bool(proofs),
        "typed": rows,
        "valid": valid,
        "quarantined": rows - valid,
        "replayed": total(again, "rows"),
        "recovered": total(again, "valid"),
        "watermark": plain(max(marks, default=None)),
    }


def ranges(tables: Mapping[str, Rows], batch_id: int) -> list[dict[str, Any]]:
    """The ranges of one batch, each with its proof (nulls before it is landed)."""
    proofs = {
        (row["topic"], row["partition"]): row for row in where(tables["proofs"], batch_id=batch_id)
    }
    planned = ordered(where(tables["batches"], batch_id=batch_id), "topic", "partition")
    return [_range(row, proofs.get((row["topic"], row["partition"]))) for row in planned]


def _range(row: Row, proof: Row | None) -> dict[str, Any]:
    return {
        **pick(row, "topic", "topic_id", "partition", "start_offset", "end_offset"),
        "expected": row["end_offset"] - row["start_offset"],
        **{name: proof[name] if proof else None for name in (*CAUSES, "digest")},
    }


def defects(tables: Mapping[str, Rows], batch_id: int) -> list[dict[str, Any]]:
    """What was wrong in one batch, by table and code, the most frequent first; one example each."""
    mine = ordered(where(tables["defects"], batch_id=batch_id), "table", "code")
    return [
        {
            **pick(row, "table", "code", "n", "detail"),
            "example": {
                name: plain(row[f"example_{name}"]) for name in ("topic", "partition", "offset")
            },
        }
        for row in sorted(mine, key=lambda row: -row["n"])
    ]


def typed(tables: Mapping[str, Rows], batch_id: int) -> list[dict[str, Any]]:
    """How many rows of each typed table one batch brought, and how many of them are valid."""
    mine = ordered(where(tables["typed"], batch_id=batch_id), "table")
    return [
        {**pick(row, "table", "rows", "valid"), "quarantined": row["rows"] - row["valid"]}
        for row in mine
    ]
