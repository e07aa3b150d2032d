"""bfp schema: check the contracts against all that was shipped, or register them."""

from __future__ import annotations

from pathlib import Path

import click

from processor.avro import compatibility
from processor.avro.contracts import contract
from processor.avro.registry import register
from processor.cli.common import as_json, config_of, configured, emit
from processor.errors import DataRefused
from processor.stages.pipeline import subjects


@click.group()
def schema() -> None:
    """Check the contracts against all that was shipped, or register them."""


@schema.command()
@as_json
def check(as_json: bool) -> None:  # noqa: FBT001  # click's flag
    """Fail with 3 if a contract could break a producer or a reader of any shipped version."""
    found = compatibility.findings()
    if not found:
        emit({"findings": []}, as_json, lambda: click.echo("every contract is compatible"))
        return
    listed = "; ".join(f"{f.record} {f.version} ({f.direction}): {f.why}" for f in found)
    raise DataRefused(listed, remedy="undo the change, or add fields with defaults only")


@schema.command(name="register")
@configured
def register_command(config_file: Path | None, flags: tuple[str, ...], as_json: bool) -> None:  # noqa: FBT001  # click's flag
    """Register the contract of every topic as `<topic>-value`; twice is the same."""
    config = config_of(config_file, flags)
    ids = register(
        config.registry, {name: contract(record) for name, record in subjects(config).items()}
    )
    told = "\n".join(f"{name}: {number}" for name, number in ids.items())
    emit(ids, as_json, lambda: click.echo(told))


COMMAND = schema
