"""The command line: parse, load the configuration, call, print; nothing else.

A command is a file of this package with a click command called `COMMAND`; the first line of its
docstring is its summary. Files are imported only when their command is used, so that `--help`
is quick and starts nothing.
"""

from __future__ import annotations

import ast
import errno
import gc
import importlib
import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from processor.errors import ProcessorError, Unavailable
from processor.local.attached import TERMINATED, end_when_asked
from processor.plugins import nearest
from processor.version import VERSION

USAGE = 2
BUG = 70
INTERRUPTED = 130
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
STOPPED = "interrupted; run again to go on where it stopped"
_HERE = Path(__file__).parent
_SUPPORT = {"__init__", "common", "grid", "unread"}


def _names() -> list[str]:
    return sorted(path.stem for path in _HERE.glob("*.py") if path.stem not in _SUPPORT)


def _summary(name: str) -> str:
    source = (_HERE / f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").splitlines()[0].partition(": ")[2]


@contextmanager
def _imports_are_no_garbage() -> Iterator[None]:
    """What is imported stays: looking through it for garbage is a tenth of the time it takes."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Commands(click.Group):
    """Commands found by their files."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """The names of the files."""
        return _names()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        """The command of one file; an unknown one is answered with the nearest name."""
        if cmd_name not in _names():
            raise click.UsageError(f"no command {cmd_name!r}: {nearest(cmd_name, _names())}")
        with _imports_are_no_garbage():
            command: click.Command = importlib.import_module(f"processor.cli.{cmd_name}").COMMAND
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        """Name and summary of each, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _summary(name)) for name in _names()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="bfp")
def bfp() -> None:
    """Exact cuts of feedback from Kafka into Delta Lake; datasets and retraining triggers out."""


def main() -> None:
    """Runs the command; ends with the exit code that the error tree gives."""
    end_when_asked()
    try:
        bfp(standalone_mode=False, prog_name="bfp")
    except click.exceptions.Exit as asked:
        sys.exit(asked.exit_code)
    except click.ClickException as usage:
        usage.show()
        _document("UsageError", usage.format_message(), "`--help` says what there is", USAGE)
        sys.exit(USAGE)
    except (KeyboardInterrupt, click.Abort):
        click.echo(STOPPED, err=True)
        sys.exit(INTERRUPTED)
    except SystemExit as ended:
        if ended.code == TERMINATED:
            click.echo(STOPPED, err=True)
        raise
    except ProcessorError as error:
        click.echo(f"error: {error}", err=True)
        _told(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        _mute()
    except Exception as bug:  # noqa: BLE001  # the last line of defence: a bug has its own exit code
        sys.exit(_unexpected(bug))


def _unexpected(bug: Exception) -> int:
    """Says what an error is that no command expects; its exit code."""
    if (stopped := stopped_by(bug)) is not None:
        click.echo(STOPPED, err=True)
        return stopped
    if isinstance(bug, OSError) and bug.errno in NO_ROOM:
        full = Unavailable(str(bug), remedy="make room, and run again")
        click.echo(f"error: {full}", err=True)
        try:
            _told(full)
            sys.stdout.flush()
        except OSError:  # stdout itself is full
            _mute()
        return full.exit_code
    traceback.print_exception(bug)
    click.echo("this is a bug: please report it with the lines above", err=True)
    _document(type(bug).__name__, str(bug), "report it with what stands on stderr", BUG)
    return BUG


def _mute() -> None:
    """Nothing more goes to stdout, which takes nothing: else Python complains as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def stopped_by(error: BaseException) -> int | None:
    """The exit code of the signal during whose unwinding an error was raised; None for others.

    A signal to the whole group ends the JVM too, and whoever then lets go of it fails.
    """
    before: BaseException | None = error
    while before is not None:
        if isinstance(before, SystemExit):
            return int(before.code or 0)
        if isinstance(before, KeyboardInterrupt):
            return INTERRUPTED
        before = before.__cause__ or before.__context__
    return None


def _told(error: ProcessorError) -> None:
    name = type(error).__name__
    _document(name, error.what, error.remedy, error.exit_code, retryable=error.retryable)


def _document(
    name: str, what: str, remedy: str, exit_code: int, *, retryable: bool = False
) -> None:
    """How the command failed, as the one document on stdout where --json was asked."""
    if "--json" not in sys.argv:
        return
    told = {
        "error": name,
        "what": what,
        "remedy": remedy,
        "exit_code": exit_code,
        "retryable": retryable,
    }
    click.echo(json.dumps(told, indent=2))
