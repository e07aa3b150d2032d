"""bfp replay: decode what is in quarantine again, with today's schemas and rules."""

from __future__ import annotations

from pathlib import Path

import click

from processor.avro.defects import MEANING
from processor.checks import rules
from processor.cli.common import config_of, configured, emit, say
from processor.errors import ConfigError
from processor.local.spark import on_demand
from processor.plugins import nearest
from processor.stages.base import Accepted
from processor.stages.replayer import Replayed, replayed
from processor.stages.selection import Selection, Span
from processor.tables import RECORDS


@click.command()
@configured
@click.option("--code", "codes", multiple=True, help="Only records with this defect (repeatable).")
@click.option(
    "--range",
    "ranges",
    multiple=True,
    metavar="TOPIC/PARTITION/START-END",
    help="Only these offsets, END not among them (repeatable).",
)
@click.option("--accept-loss", is_flag=True, help="As of `run`, for a batch that was begun.")
@click.option("--accept-defects", is_flag=True, help="As of `run`, for a batch that was begun.")
def replay(
    config_file: Path | None,
    flags: tuple[str, ...],
    as_json: bool,  # noqa: FBT001  # click's flag
    codes: tuple[str, ...],
    ranges: tuple[str, ...],
    accept_loss: bool,  # noqa: FBT001  # click's flag
    accept_defects: bool,  # noqa: FBT001  # click's flag
) -> None:
    """Decode what is in quarantine again, with today's schemas and rules.

    What differs is appended as another attempt, in a batch of its own that goes through every
    stage. A batch that was begun is finished first. With nothing that differs there is no batch.
    """
    config = config_of(config_file, flags)
    selection = Selection.of(map(_known, codes), map(Span.parse, ranges))
    accepted = Accepted(loss=accept_loss, defects=accept_defects)
    with on_demand(config.spark, say, config.limits) as start_spark:
        done = replayed(config, start_spark, say, selection, accepted)
    document = {
        "batch": done.taken.batch if done.taken else None,
        "finished": done.finished.batch if done.finished else None,
        "outcome": "done" if done.taken else "nothing differs",
        "stages": done.taken.stages if done.taken else [],
    }
    emit(document, as_json, lambda: _show(done))


def _known(code: str) -> str:
    """A code that a record can have; raises ConfigError, with the nearest, for any other."""
    known = {*MEANING, *(rule.code for record in RECORDS.values() for rule in rules(record))}
    if code not in known:
        raise ConfigError(f"no defect {code!r}", remedy=nearest(code, sorted(known)))
    return code


def _show(done: Replayed) -> None:
    if done.finished:
        click.echo(
            f"batch {done.finished.batch}: finished first: {', '.join(done.finished.stages)}"
        )
    if done.taken:
        click.echo(f"batch {done.taken.batch}: {', '.join(done.taken.stages)}")
    else:
        click.echo("nothing differs: what is in quarantine stays there")


COMMAND = replay
