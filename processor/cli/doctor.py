"""bfp doctor: check this machine, the configuration, the broker and the registry."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click

from processor.avro.registry import reachable
from processor.cli.common import config_of, configured, emit
from processor.config import Config
from processor.errors import ProcessorError, Unavailable
from processor.kafka.offsets import Broker
from processor.local.jars import ensure
from processor.local.java import java
from processor.local.lockfile import locked
from processor.local.places import cache_dir
from processor.session import submitted
from processor.stages.pipeline import PLAN, preflight
from processor.tables import BATCHES
from processor.warehouse import Warehouse


class Check(NamedTuple):
    """What was looked at, what was found, and how the command would end for it."""

    name: str
    ok: bool
    found: str
    remedy: str = ""
    exit_code: int = 0


@click.command()
@configured
def doctor(config_file: Path | None, flags: tuple[str, ...], as_json: bool) -> None:  # noqa: FBT001  # click's flag
    """Check this machine, the configuration, the broker and the registry; starts no JVM.

    Ends with the exit code of the first thing that is wrong.
    """
    checks = [_look("python", _python), _look("java", lambda: str(java())), _look("jars", _jars)]
    config = _configuration(checks, config_file, flags)
    if config is not None:
        checks += [
            _look("warehouse", lambda: _warehouse(config)),
            _look("kafka", lambda: _kafka(config)),
            _look("registry", lambda: reachable(config.registry)),
        ]
    emit([check._asdict() for check in checks], as_json, lambda: _show(checks))
    sys.exit(next((check.exit_code for check in checks if not check.ok), 0))


def _look(name: str, ask: Callable[[], str]) -> Check:
    try:
        return Check(name, ok=True, found=ask())
    except ProcessorError as error:
        return Check(
            name, ok=False, found=error.what, remedy=error.remedy, exit_code=error.exit_code
        )


def _configuration(
    checks: list[Check], config_file: Path | None, flags: tuple[str, ...]
) -> Config | None:
    held: list[Config] = []

    def ask() -> str:
        config = config_of(config_file, flags)
        preflight(config)
        held.append(config)
        return f"loops: {', '.join(config.loop)}"

    checks.append(_look("configuration", ask))
    return held[0] if held else None


def _python() -> str:
    return sys.version.split()[0]


def _jars() -> str:
    if submitted():
        return "brought by spark-submit"
    lacking = [
        each for each in locked("spark") if not (cache_dir() / "spark" / each.file).is_file()
    ]
    if lacking:
        _writable(str(cache_dir()), "cache", "BFP_CACHE")
        return f"{len(lacking)} not fetched yet; the first run does so"
    return f"{len(ensure('spark', cache_dir()))} in {cache_dir()}, each as locked"


def _warehouse(config: Config) -> str:
    _writable(config.warehouse, "warehouse", "`warehouse`")
    last = Warehouse(config.warehouse).committed(BATCHES, PLAN)
    return f"{config.warehouse}: {f'batch {last}' if last else 'empty'}"


def _writable(root: str, what: str, setting: str) -> None:
    """Raises Unavailable where a run could make no folder; makes none itself."""
    if "://" in root:
        return
    there = next(path for path in (Path(root), *Path(root).absolute().parents) if path.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise Unavailable(
            f"the {what} {root} cannot be written: {there} is no folder that may be",
            remedy=f"make the folder writable, or set {setting} to another place",
        )


def _kafka(config: Config) -> str:
    inputs, outputs = set(config.topics.by_topic()), set(config.outputs.model_dump().values())
    held = {each.topic for each in Broker(config.kafka).bounds(inputs | outputs)}
    told = f"{config.kafka.bootstrap_servers}: {len(inputs & held)} input topics"
    if missing := sorted(inputs - held):
        told += f"; not there, so empty: {', '.join(missing)}"
    if missing := sorted(outputs - held):
        told += f"; not there, so to be created by broker or you: {', '.join(missing)}"
    return told


def _show(checks: list[Check]) -> None:
    for check in checks:
        click.echo(f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.found}")
        if check.remedy:
            click.echo(f"     remedy: {check.remedy}")


COMMAND = doctor
