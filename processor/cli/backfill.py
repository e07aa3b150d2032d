"""bfp backfill: make past batches anew under today's configuration, beside what was published."""

from __future__ import annotations

from pathlib import Path

import click

from processor.cli.common import config_of, configured, emit, say
from processor.local.spark import on_demand
from processor.stages.backfill import Place, backfilled, place


@click.command()
@configured
@click.option("--to", "upto", type=click.IntRange(min=1), help="The last batch; else all.")
def backfill(
    config_file: Path | None,
    flags: tuple[str, ...],
    as_json: bool,  # noqa: FBT001  # click's flag
    upto: int | None,
) -> None:
    """Make past batches anew under today's configuration, beside what was published.

    Outcomes, datasets, measurements and decisions go to a folder named by the configuration's
    hash; nothing is sent to Kafka, and no table of the warehouse is written. What is there
    already is not made again.
    """
    config = config_of(config_file, flags)
    where = place(config)
    with on_demand(config.spark, say) as start_spark:
        made = list(backfilled(config, start_spark, say, upto))
    document = {**where._asdict(), "config_hash": config.hash, "batches": made}
    emit(document, as_json, lambda: _show(where, made))


def _show(where: Place, made: list[int]) -> None:
    click.echo(f"{len(made)} batches made anew" if made else "nothing to do: all batches are there")
    click.echo(f"tables: {where.warehouse}")
    click.echo(f"report: {where.report / 'index.html'}")


COMMAND = backfill
