"""What commands share: options, progress on stderr, one JSON document on stdout."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import reduce, wraps
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from processor.config import Config, ScheduleConfig, load
from processor.schedule import moment

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


def grouped(
    name: str, make: Callable[..., object], *options: Callable[[CommandT], CommandT]
) -> Callable[[CommandT], CommandT]:
    """Options that the command is given as one argument, which `make` makes of them.

    The parameters of `make` are called as click calls the options.
    """
    of = tuple(signature(make).parameters)

    def with_options(command: CommandT) -> CommandT:
        @wraps(command)
        def called(**given: Any) -> Any:  # noqa: ANN401  # what click gives, and gets
            mine = {each: given.pop(each) for each in of}
            return command(**{name: make(**mine)}, **given)

        return reduce(
            lambda found, option: option(found), reversed(options), cast("CommandT", called)
        )

    return with_options


def until(command: CommandT) -> CommandT:
    """Adds --until."""
    return click.option(
        "--until",
        "until_text",
        metavar="TIME",
        help="Cut at this moment: ISO 8601, without an offset a local time of schedule.zone.",
    )(command)


def moment_of(config: Config, text: str | None) -> datetime | None:
    """The moment that an option names; raises ConfigError if it is none, or is not over yet."""
    if text is None:
        return None
    zone = config.schedule.zone if config.schedule else ScheduleConfig().zone
    return moment(text, zone, datetime.now(UTC))


def nothing_new(moment: datetime | None) -> str:
    """What there is to say where no batch is to be taken, up to a moment or at all."""
    if moment is not None:
        return f"nothing to do: all up to {moment.isoformat()} is taken"
    return "nothing to do: all that can be read is read"


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
