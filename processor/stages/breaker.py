"""The circuit breaker: a batch of which too much is defective goes no further by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from processor.batches import Batch
from processor.config import DefectsConfig
from processor.errors import DataRefused
from processor.stages.base import Context
from processor.stages.gather import defect_counts, typed_counts
from processor.tables import TYPED

MOST_NAMED = 5  # codes that the refusal names
Counts = Iterable[Mapping[str, Any]]


def refuse_defects(context: Context, batch: Batch) -> None:
    """Stops a batch with too many defects, unless whoever started the run accepts them.

    Raises:
        DataRefused: names the share, the limit, and the codes with an example of each.
    """
    if context.accepted.defects:
        return
    warehouse = context.warehouse
    counted = [row for name in TYPED for row in typed_counts(warehouse, name, batch.id, batch.id)]
    if (share := excess(counted, context.config.defects)) is None:
        return
    codes = [row for table in TYPED.values() for row in defect_counts(warehouse, table, batch.id)]
    raise DataRefused(
        f"{share:.1%} of the records of batch {batch.id} have defects, more than"
        f" {context.config.defects.max_share:.1%} (defects.max_share): {named(codes)}",
        remedy="mend their cause; `bfp run --accept-defects` goes on without these records,"
        " and `bfp replay` decodes them again",
    )


def excess(counted: Counts, limits: DefectsConfig) -> float | None:
    """The share of defective rows, if it is beyond the limit; `counted`: rows and valid."""
    rows, valid = (sum(row[name] for row in counted) for name in ("rows", "valid"))
    if rows < limits.min_rows:
        return None
    share = (rows - valid) / rows
    return float(share) if share > limits.max_share else None


def named(codes: Counts) -> str:
    """The most frequent codes, each with its number and the first record that has it."""
    worst = sorted(codes, key=lambda row: (-row["n"], row["code"], row["example_topic"]))
    return "; ".join(
        f"{row['n']:,} {row['code']}, as {row['example_topic']}/{row['example_partition']}"
        f"/{row['example_offset']} ({row['detail']})"
        for row in worst[:MOST_NAMED]
    )
