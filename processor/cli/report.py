"""bfp report: write the page and the JSON of a batch again, without a JVM or a broker."""

from __future__ import annotations

from pathlib import Path

import click

from processor.cli.common import config_of, configured, emit
from processor.errors import ConfigError
from processor.report.write import write
from processor.stages import publish
from processor.stages.gather import gathered
from processor.stages.pipeline import last_planned
from processor.warehouse import Warehouse


@click.command()
@configured
@click.option("--batch", type=click.IntRange(min=1), help="A past batch; without it the last.")
def report(
    config_file: Path | None,
    flags: tuple[str, ...],
    as_json: bool,  # noqa: FBT001  # click's flag
    batch: int | None,
) -> None:
    """Write the page and the JSON of a batch again, as of that batch; no JVM, no broker.

    They take the place of those in the report's folder; `--set report=FOLDER` writes elsewhere.
    """
    config = config_of(config_file, flags)
    warehouse = Warehouse(config.warehouse)
    number = _wanted(warehouse, batch)
    told = gathered(config, warehouse, number, finished=publish.STAGE.done(warehouse, number))
    path = write(config.report, told.document, told.events)
    emit(told.document, as_json, lambda: click.echo(path))


def _wanted(warehouse: Warehouse, batch: int | None) -> int:
    last = last_planned(warehouse)
    if batch is not None and batch > last:
        raise ConfigError(f"no batch {batch}, the last is {last}", remedy="`bfp status` lists them")
    return batch or last


COMMAND = report
