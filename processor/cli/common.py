"""What commands share: options, progress on stderr, one JSON document on stdout."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from processor.config import Config, load

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


def configured(command: CommandT) -> CommandT:
    """Adds --config and --set, and --json."""
    file = click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="BFP_CONFIG",
        help="A YAML file over the defaults (also: BFP_CONFIG).",
    )
    flags = click.option(
        "--set", "flags", multiple=True, metavar="KEY=VALUE", help="One key over all files."
    )
    return file(flags(as_json(command)))


def config_of(config_file: Path | None, flags: tuple[str, ...]) -> Config:
    """The configuration of all layers."""
    return load(config_file, flags)


def say(text: str) -> None:
    """Progress, on stderr."""
    click.echo(f"· {text}", err=True)


def emit(document: Any, as_json: bool, human: Callable[[], None]) -> None:  # noqa: ANN401, FBT001  # any document; click's flag
    """Prints the document as JSON, or lets `human` print what a person reads."""
    if as_json:
        click.echo(json.dumps(document, indent=2, default=plain))
    else:
        human()


def plain(value: object) -> object:
    """Values that JSON does not know: times as ISO 8601, spans as seconds, paths as text."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot write {type(value).__name__} as JSON")
