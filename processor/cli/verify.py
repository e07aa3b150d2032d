"""bfp verify: recompute what was proven of every batch, from the tables and from Kafka."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from processor.cli.common import config_of, configured, emit, say
from processor.errors import LossDetected
from processor.local.spark import on_demand
from processor.stages.verify import Verified
from processor.stages.verify import verify as verify_tables
from processor.warehouse import Warehouse


@click.command()
@configured
@click.option("--kafka", is_flag=True, help="Read the topics again too, as far as they go back.")
def verify(config_file: Path | None, flags: tuple[str, ...], as_json: bool, kafka: bool) -> None:  # noqa: FBT001  # click's flags
    """Recompute counts and digests of every batch; ends with 4 if one is not as proven."""
    config = config_of(config_file, flags)
    warehouse = Warehouse(config.warehouse)
    with on_demand(config.spark, say) as start_spark:
        found = verify_tables(config, warehouse, start_spark, kafka=kafka)
    document = {**vars(found), "findings": [each._asdict() for each in found.findings]}
    emit(document, as_json, lambda: _show(found))
    sys.exit(LossDetected.exit_code if found.findings else 0)


def _show(found: Verified) -> None:
    click.echo(f"{found.rows:,} rows of {found.ranges} ranges in {found.batches} batches")
    if found.compared is not None:
        click.echo(f"{found.compared:,} of them are on Kafka still")
    for each in found.findings:
        batch = "all batches" if each.batch is None else f"batch {each.batch}"
        where = "" if each.topic is None else f", {each.topic}/{each.partition}"
        click.echo(f"{batch}{where}: {each.what}")
    click.echo("not as proven" if found.findings else "everything is as it was proven")


COMMAND = verify
