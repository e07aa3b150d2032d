"""bfp status: say what the warehouse holds, batch by batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table as Grid

from processor.cli.common import config_of, configured, emit
from processor.stages.pipeline import PLAN, STAGES
from processor.tables import BATCHES, DATASETS, DECISIONS, PROOFS
from processor.warehouse import Warehouse


@click.command()
@configured
@click.option("--loop", help="Decisions and datasets of this loop only.")
def status(
    config_file: Path | None,
    flags: tuple[str, ...],
    as_json: bool,  # noqa: FBT001  # click's flag
    loop: str | None,
) -> None:
    """Say what the warehouse holds, batch by batch; no JVM, no broker."""
    config = config_of(config_file, flags)
    if loop is not None:
        config.only(loop)
    document = _document(Warehouse(config.warehouse), loop)
    emit(document, as_json, lambda: _show(document))


def _document(warehouse: Warehouse, loop: str | None) -> dict[str, Any]:
    last = warehouse.committed(BATCHES, PLAN)
    pending = [each.name for each in STAGES if last and not each.done(warehouse, last)]
    proofs = warehouse.rows(PROOFS).to_pylist()
    decisions = [r for r in warehouse.rows(DECISIONS).to_pylist() if loop in (None, r["loop"])]
    versions = [r for r in warehouse.rows(DATASETS).to_pylist() if loop in (None, r["loop"])]
    return {
        "warehouse": warehouse.root,
        "last_batch": last or None,
        "pending_stages": pending,
        "batches": [_batch(n, proofs, decisions, versions) for n in range(1, last + 1)],
    }


def _batch(
    number: int,
    proofs: list[dict[str, Any]],
    decisions: list[dict[str, Any]],
    versions: list[dict[str, Any]],
) -> dict[str, Any]:
    mine = [row for row in proofs if row["batch_id"] == number]
    return {
        "batch": number,
        "landed": sum(row["landed"] for row in mine),
        "lost": sum(row["lost"] for row in mine),
        "watermark": next((row["watermark"] for row in mine), None),
        "decisions": [
            {name: row[name] for name in ("loop", "rule", "state", "reason", "trigger_id")}
            for row in decisions
            if row["batch_id"] == number
        ],
        "datasets": [
            {name: row[name] for name in ("dataset", "version", "row_count", "uri")}
            for row in versions
            if row["batch_id"] == number
        ],
    }


def _show(document: dict[str, Any]) -> None:
    console = Console()
    if not document["last_batch"]:
        console.print(f"no batch yet in {document['warehouse']}")
        return
    grid = Grid("batch", "landed", "watermark", "datasets", "decisions")
    for one in document["batches"]:
        datasets = [f"{d['dataset']} {d['version']}: {d['row_count']:,}" for d in one["datasets"]]
        decisions = [f"{d['state']} {d['rule']}" for d in one["decisions"]]
        mark = f"{one['watermark']:%Y-%m-%d %H:%M}" if one["watermark"] else ""
        cells = (f"{one['landed']:,}", mark, "\n".join(datasets), "\n".join(decisions))
        grid.add_row(str(one["batch"]), *cells)
    console.print(grid)
    if document["pending_stages"]:
        console.print(f"batch {document['last_batch']} waits for: {document['pending_stages']}")


COMMAND = status
