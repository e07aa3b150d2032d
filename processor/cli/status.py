"""bfp status: say what the warehouse holds, batch by batch."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from processor.cli import unread
from processor.cli.common import config_of, configured, emit
from processor.cli.grid import grid
from processor.config import Config
from processor.errors import Unavailable
from processor.measurements import REQUESTS
from processor.stages import catalog
from processor.stages.landing import Place
from processor.stages.pipeline import PLAN, unfinished
from processor.stages.quarantine import expired, standing
from processor.stages.unread import Unread
from processor.stages.unread import unread as read_unread
from processor.tables import BATCHES, DATASETS, DECISIONS, MEASUREMENTS, PROOFS
from processor.warehouse import Warehouse

PATIENCE = timedelta(seconds=2)
"""How long the broker may take to answer: the command is about the warehouse first."""


@click.command()
@configured
@click.option("--loop", help="Decisions and datasets of this loop only.")
def status(
    config_file: Path | None,
    flags: tuple[str, ...],
    as_json: bool,  # noqa: FBT001  # click's flag
    loop: str | None,
) -> None:
    """Say what the warehouse holds, batch by batch, and how long Kafka keeps what is unread.

    Starts no JVM. A broker that does not answer at once is told of, and is no failure.
    """
    config = config_of(config_file, flags)
    if loop is not None:
        config.only(loop)
    warehouse = Warehouse(config.warehouse)
    found, why = _asked(config, warehouse)
    if found is not None:
        unread.warn(found)
    document = {
        **_document(warehouse, loop),
        **(unread.document(found) if found else {"retention": None, "warnings": []}),
        "broker": why,
    }
    emit(document, as_json, lambda: _show(document, found))


def _asked(config: Config, warehouse: Warehouse) -> tuple[Unread | None, str | None]:
    """What is unread, or why that cannot be said."""
    soon = min(config.kafka.timeout, PATIENCE)
    hasty = config.model_copy(update={"kafka": config.kafka.model_copy(update={"timeout": soon})})
    try:
        return read_unread(hasty, warehouse), None
    except Unavailable as error:
        return None, error.what


def _document(warehouse: Warehouse, loop: str | None) -> dict[str, Any]:
    pending = [each.name for each in unfinished(warehouse)]
    last = warehouse.committed(BATCHES, PLAN)
    proofs = warehouse.rows(PROOFS).to_pylist()
    decisions = [r for r in warehouse.rows(DECISIONS).to_pylist() if loop in (None, r["loop"])]
    versions = [r for r in warehouse.rows(DATASETS).to_pylist() if loop in (None, r["loop"])]
    refused = [r for r in catalog.refused(warehouse) if loop in (None, r["loop"])]
    return {
        "warehouse": warehouse.root,
        "last_batch": last or None,
        "pending_stages": pending,
        "batches": [_batch(n, proofs, decisions, versions, refused) for n in range(1, last + 1)],
        "label_requests": _requests(warehouse, loop),
        "quarantine": standing(warehouse),
        "expired": expired(warehouse, loop),
    }


def _requests(warehouse: Warehouse, loop: str | None) -> dict[str, dict[str, int]]:
    """By loop, how many labels were asked for so far, and what became of that, as last measured."""
    columns = ["batch_id", "loop", "metric", "n"]
    rows = warehouse.rows(MEASUREMENTS, columns=columns).to_pylist()
    mine = [r for r in rows if r["metric"].startswith(REQUESTS) and loop in (None, r["loop"])]
    found: dict[str, dict[str, int]] = {}
    for row in sorted(mine, key=lambda row: (row["loop"], row["batch_id"], row["metric"])):
        found.setdefault(row["loop"], {})[row["metric"].removeprefix(REQUESTS)] = row["n"]
    return {name: {"asked": sum(counts.values()), **counts} for name, counts in found.items()}


def _batch(
    number: int,
    proofs: list[dict[str, Any]],
    decisions: list[dict[str, Any]],
    versions: list[dict[str, Any]],
    refused: list[dict[str, Any]],
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
        "refused": [
            {name: row[name] for name in ("dataset", "reason")}
            for row in refused
            if row["batch_id"] == number
        ],
    }


def _show(document: dict[str, Any], found: Unread | None) -> None:
    console = Console(markup=False)
    _show_batches(console, document)
    if found is None:
        console.print(f"what is unread is not known: {document['broker']}")
    else:
        unread.show(console, found)


def _show_batches(console: Console, document: dict[str, Any]) -> None:
    if not document["last_batch"]:
        console.print(f"no batch yet in {document['warehouse']}")
        return
    table = grid("batch", "landed", "watermark", "datasets", "decisions")
    for one in document["batches"]:
        datasets = [f"{d['dataset']} {d['version']}: {d['row_count']:,}" for d in one["datasets"]]
        datasets += [f"{name}: no version" for name in {r["dataset"]: 0 for r in one["refused"]}]
        decisions = [f"{d['state']} {d['rule']}" for d in one["decisions"]]
        mark = f"{one['watermark']:%Y-%m-%d %H:%M}" if one["watermark"] else ""
        cells = (f"{one['landed']:,}", mark, "\n".join(datasets), "\n".join(decisions))
        table.add_row(str(one["batch"]), *cells)
    console.print(table)
    for one in document["batches"]:
        for row in one["refused"]:
            console.print(f"batch {one['batch']}, {row['dataset']}: no version: {row['reason']}")
    for loop, counts in document["label_requests"].items():
        told = ", ".join(f"{n:,} {name}" for name, n in counts.items())
        console.print(f"labels of {loop}: {told}")
    _show_quarantine(console, document["quarantine"])
    for row in document["expired"]:
        told = "{loop}, {metric}: {n:,} answers expired, as {place}: {why}"
        console.print(told.format(**row, place=Place(**row["example"])), soft_wrap=True)
    if document["pending_stages"]:
        console.print(f"batch {document['last_batch']} waits for: {document['pending_stages']}")


def _show_quarantine(console: Console, told: dict[str, Any]) -> None:
    counts = ", ".join(f"{told[name]:,} {name}" for name in ("defective", "replayed", "recovered"))
    console.print(f"quarantine: {counts}")
    for row in told["codes"]:
        first = f"{row['n']:,}, the first at {Place(**row['example'])}: {row['detail']}"
        console.print(f"  {row['table']}, {row['code']}: {first}", soft_wrap=True)


COMMAND = status
