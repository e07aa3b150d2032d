"""bfp schema: check the contracts, or events before they are sent; or register the contracts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from processor.avro import compatibility
from processor.avro.contracts import contract
from processor.avro.event_files import FileOfEvents, events_of
from processor.avro.registry import register
from processor.checks import Defect, check
from processor.cli.common import as_json, config_of, configured, emit
from processor.errors import ConfigError, DataRefused
from processor.stages.pipeline import subjects

NOT_AN_EVENT = "not_an_event"


@click.group()
def schema() -> None:
    """Check the contracts, or events before they are sent; or register the contracts."""


@schema.command(name="check")
@click.argument(
    "file", type=click.Path(path_type=Path, dir_okay=False, exists=True), required=False
)
@click.option(
    "--record", metavar="NAME", help="What the events of FILE are, such as FeedbackEvent."
)
@as_json
def check_command(file: Path | None, record: str | None, as_json: bool) -> None:  # noqa: FBT001  # click's flag
    """Check the events of FILE, as the batch would; without FILE, the contracts.

    FILE holds JSON, one event a line, or is an Avro container. Ends with 3 if an event is not
    valid, or if a contract could break a producer or a reader of any shipped version.
    """
    if file is None:
        if record is not None:
            raise click.UsageError("--record NAME says what the events of FILE are: name FILE too")
        _check_contracts(as_json)
    else:
        _check_events(events_of(file), file, record, as_json)


def _check_contracts(as_json: bool) -> None:  # noqa: FBT001  # click's flag
    found = compatibility.findings()
    if not found:
        emit({"findings": []}, as_json, lambda: click.echo("every contract is compatible"))
        return
    listed = "; ".join(f"{f.record} {f.version} ({f.direction}): {f.why}" for f in found)
    raise DataRefused(listed, remedy="undo the change, or add fields with defaults only")


def _check_events(told: FileOfEvents, file: Path, record: str | None, as_json: bool) -> None:  # noqa: FBT001  # click's flag
    name = record or told.record
    if name is None:
        raise ConfigError(f"{file} does not say what its events are", remedy="write --record NAME")
    judged = [list(_defects(name, number, event)) for number, event in told.events]
    found = [each for one in judged for each in one]
    document = {"file": file, "record": name, "events": len(judged), "defects": found}
    emit(document, as_json, lambda: _show(document))
    sys.exit(DataRefused.exit_code if found else 0)


def _defects(record: str, number: int, event: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401  # whatever the line holds
    """The defects of one event, as if it were sent now."""
    if isinstance(event, dict):
        defects = check(record, event, datetime.now(UTC))
        name = event.get("event_id")
    else:
        defects, name = [Defect(NOT_AN_EVENT, "the line is no JSON object")], None
    for each in defects:
        yield {"line": number, "event_id": name, **vars(each)}


def _show(document: dict[str, Any]) -> None:
    for each in document["defects"]:
        click.echo(f"{document['file']}:{each['line']}: {each['code']}: {each['detail']}")
    amiss = len({each["line"] for each in document["defects"]})
    click.echo(f"{amiss:,} of {document['events']:,} events have defects")


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
