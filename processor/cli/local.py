"""bfp local: run a real broker and registry on this machine, with no container engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from processor.cli.common import as_json, emit, say
from processor.config import KafkaConfig, Outputs, Topics
from processor.local import archive, jars, stack
from processor.local.lockfile import GROUPS
from processor.local.places import cache_dir
from processor.simulate.topics import create_topics

HOME = Path("build/local")
home_option = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=HOME,
    show_default=True,
    help="Folder of their data.",
)


@click.group()
def local() -> None:
    """Run a real broker and registry on this machine, with no container engine."""


@local.command()
@home_option
@as_json
def up(home: Path, as_json: bool) -> None:  # noqa: FBT001  # click's flag
    """Start both, with the topics of the default configuration; what they held is still there.

    Running already is no error.
    """
    running = stack.up(home, say)
    create_topics(KafkaConfig(bootstrap_servers=running.bootstrap_servers), Topics(), Outputs())
    emit(vars(running), as_json, lambda: _show_addresses(running))


@local.command()
@home_option
@as_json
def down(home: Path, as_json: bool) -> None:  # noqa: FBT001  # click's flag
    """Stop both; their data stay."""
    stopped = stack.down(home)
    told = f"stopped {' and '.join(stopped)}" if stopped else "nothing was running"
    emit({"stopped": stopped}, as_json, lambda: click.echo(told))


@local.command()
@home_option
@as_json
def status(home: Path, as_json: bool) -> None:  # noqa: FBT001  # click's flag
    """Say what runs, and where."""
    found = stack.status(home)
    emit(found, as_json, lambda: _show_status(found))


@local.command()
@as_json
def fetch(as_json: bool) -> None:  # noqa: FBT001  # click's flag
    """Fetch every jar that is not in the cache yet, check all, and make Spark start quickly."""
    found = {group: len(jars.ensure(group, cache_dir(), say)) for group in GROUPS}
    archive.build(say)
    emit(found, as_json, lambda: click.echo(f"{sum(found.values())} files, each as locked"))


@local.command()
@as_json
def lock(as_json: bool) -> None:  # noqa: FBT001  # click's flag
    """Resolve every jar anew and replace the lock; for those who change this software."""
    say("resolving; this takes a minute")
    found = jars.relock(cache_dir() / "relock")
    emit(found, as_json, lambda: click.echo(f"locked {sum(found.values())} files"))


def _show_addresses(running: stack.Stack) -> None:
    click.echo(f"export BFP__KAFKA__BOOTSTRAP_SERVERS={running.bootstrap_servers}")
    click.echo(f"export BFP__REGISTRY__URL={running.registry_url}")


def _show_status(found: dict[str, Any]) -> None:
    for name, one in found.items():
        where = f"runs at {one['address']} (process {one['pid']})"
        click.echo(f"{name} {where if one['running'] else 'does not run'}")


COMMAND = local
