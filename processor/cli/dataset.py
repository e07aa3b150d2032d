"""bfp dataset: list dataset versions, show one, compare two, or build one again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from processor.cli.common import config_of, configured, emit, say
from processor.cli.grid import grid
from processor.config import Config
from processor.errors import ConfigError, DataRefused
from processor.local.spark import on_demand
from processor.plugins import nearest
from processor.stages import catalog
from processor.stages.rebuild import Rebuilt
from processor.stages.rebuild import rebuild as build_again
from processor.warehouse import Warehouse

_LISTED = (
    *("dataset", "version", "batch_id", "loop", "parent_version", "kind", "formats", "row_count"),
    *("splits", "created_at", "uri", "content_sha256"),
)


@click.group()
def dataset() -> None:
    """List dataset versions, show one, compare two, or build one again."""


@dataset.command(name="list")
@configured
@click.option("--dataset", "name", help="Versions of this dataset only.")
def list_command(
    config_file: Path | None,
    flags: tuple[str, ...],
    as_json: bool,  # noqa: FBT001  # click's flag
    name: str | None,
) -> None:
    """List every version, and those that were refused, and why; starts no JVM."""
    config = config_of(config_file, flags)
    warehouse = Warehouse(config.warehouse)
    rows, refused = catalog.listed(warehouse), catalog.refused(warehouse)
    if name is not None:
        _known(config, name, [*rows, *refused])
    document = {
        "versions": [
            {n: row[n] for n in _LISTED} for row in rows if name in (None, row["dataset"])
        ],
        "refused": [row for row in refused if name in (None, row["dataset"])],
    }
    emit(document, as_json, lambda: _show_list(document))


def _known(config: Config, name: str, rows: list[dict[str, Any]]) -> None:
    """Raises ConfigError, with the nearest name, for a dataset that nobody knows."""
    configured_names = {each.name for loop in config.loop.values() for each in loop.datasets}
    known = configured_names | {row["dataset"] for row in rows}
    if name not in known:
        remedy = nearest(name, sorted(known)) if known else "write one into a loop file"
        raise ConfigError(f"no dataset {name!r}", remedy=remedy)


@dataset.command()
@configured
@click.argument("version", metavar="DATASET/VERSION")
def show(config_file: Path | None, flags: tuple[str, ...], as_json: bool, version: str) -> None:  # noqa: FBT001  # click's flag
    """Show what a version's manifest says: splits, what was dropped, quality, sources."""
    warehouse = Warehouse(config_of(config_file, flags).warehouse)
    row = catalog.version(warehouse, version)
    places = {name: row[name] for name in ("uri", "manifest_uri", "run_id")}
    document = {**catalog.manifest(warehouse, row), **places}
    emit(document, as_json, lambda: _show_manifest(document))


@dataset.command()
@configured
@click.argument("one", metavar="DATASET/VERSION")
@click.argument("other", metavar="DATASET/VERSION")
def diff(
    config_file: Path | None,
    flags: tuple[str, ...],
    as_json: bool,  # noqa: FBT001  # click's flag
    one: str,
    other: str,
) -> None:
    """Say how the second version differs from the first: rows, schema, counts, recipe."""
    warehouse = Warehouse(config_of(config_file, flags).warehouse)
    first, second = (catalog.version(warehouse, name) for name in (one, other))
    document = {"from": one, "to": other, **catalog.compared(warehouse, first, second)}
    emit(document, as_json, lambda: _show_diff(document))


@dataset.command()
@configured
@click.argument("version", metavar="DATASET/VERSION")
@click.option("--as-built", is_flag=True, help="By the recipe that the version's manifest keeps.")
def rebuild(
    config_file: Path | None,
    flags: tuple[str, ...],
    as_json: bool,  # noqa: FBT001  # click's flag
    version: str,
    as_built: bool,  # noqa: FBT001  # click's flag
) -> None:
    """Build a version again, beside it, from the tables as of its batch; compare every file.

    Ends with 3 if one is not the same, byte for byte; what was built then stays to be looked at.
    """
    config = config_of(config_file, flags)
    with on_demand(config.spark, say) as start_spark:
        found = build_again(config, start_spark, say, version, as_built=as_built)
    document = {**found._asdict(), "identical": not found.differences}
    emit(document, as_json, lambda: _show_rebuilt(found))
    sys.exit(DataRefused.exit_code if found.differences else 0)


def _show_list(document: dict[str, Any]) -> None:
    console = Console(markup=False)
    table = grid("version", "after", "rows", "splits", "formats")
    table.columns[0].no_wrap = True
    for row in document["versions"]:
        splits = "\n".join(f"{each['name']} {each['rows']:,}" for each in row["splits"])
        cells = (f"{row['row_count']:,}", splits, "\n".join(row["formats"]))
        table.add_row(f"{row['dataset']}/{row['version']}", row["parent_version"] or "", *cells)
    console.print(table if document["versions"] else "no version yet")
    for row in document["refused"]:
        console.print(f"batch {row['batch_id']}, {row['dataset']}: no version: {row['reason']}")


def _show_manifest(document: dict[str, Any]) -> None:
    console = Console(markup=False)
    after = f", after {document['parent_version']}" if document["parent_version"] else ""
    name = f"{document['dataset']}/{document['version']}"
    console.print(f"{name}, batch {document['batch_id']}{after}: {document['row_count']:,} rows")
    console.print(f"files: {document['uri']}", soft_wrap=True)
    console.print(f"SHA-256: {document['content_sha256']}")
    console.print(f"code: {document['code_version']}, configuration: {document['config_hash']}")
    table = grid("", "", "")
    for split in document["splits"]:
        table.add_row("split", split["name"], f"{split['rows']:,}")
    for title in ("dropped", "quality"):
        for key, value in document[title].items():
            table.add_row(title, key, f"{value:,.6g}" if title == "quality" else f"{value:,}")
    for check, said in document["leakage"].items():
        table.add_row("leakage", check, f"{said['rows']:,} ({said['share']:.2%} of held-out rows)")
    for each in document["sources"]:
        place = f"{each['topic']}/{each['partition']}"
        table.add_row("source", place, f"{each['start_offset']:,} to {each['end_offset']:,}")
    console.print(table)


def _show_diff(document: dict[str, Any]) -> None:
    console = Console(markup=False)
    rows = document["rows"]
    console.print(f"{document['from']} → {document['to']}: {rows['in_both']:,} rows in both")
    for kind in ("added", "removed", "label", "split", "weight"):
        named = ", ".join(rows["examples"].get(kind, ()))
        what = kind if kind in ("added", "removed") else f"other {kind}"
        console.print(f"  {what}: {rows[kind]:,}{f', such as {named}' if named else ''}")
    table = grid("", "", document["from"], document["to"])
    for section, changes in document.items():
        if section in ("from", "to", "rows"):
            continue
        for key, both in changes.items():
            table.add_row(section, key, *("" if value is None else str(value) for value in both))
    console.print(table)


def _show_rebuilt(found: Rebuilt) -> None:
    if found.built_by != found.code:
        click.echo(f"built by {found.built_by}, and now by {found.code}")
    if not found.differences:
        click.echo(f"{found.version}: {found.files} files, each the same byte for byte")
        return
    for each in found.differences:
        click.echo(f"{found.version}: {each}")
    if found.place:
        click.echo(f"what was built now is in {found.place}")


COMMAND = dataset
