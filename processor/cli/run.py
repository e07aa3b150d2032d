"""bfp run: take the next batch from Kafka through every stage, or finish the one begun."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from processor.cli.common import config_of, configured, emit, say
from processor.config import Config
from processor.local.spark import on_demand
from processor.stages.base import Accepted
from processor.stages.pipeline import STAGES, stage
from processor.stages.runner import Taken, take


@click.command()
@configured
@click.option("--stage", "names", multiple=True, help="Only this stage (may be repeated).")
@click.option("--accept-loss", is_flag=True, help="Go on without records that Kafka deleted.")
@click.option("--accept-new-topic", is_flag=True, help="Read a topic that was made anew.")
def run(
    config_file: Path | None,
    flags: tuple[str, ...],
    as_json: bool,  # noqa: FBT001  # click's flag
    names: tuple[str, ...],
    accept_loss: bool,  # noqa: FBT001  # click's flag
    accept_new_topic: bool,  # noqa: FBT001  # click's flag
) -> None:
    """Take the next batch from Kafka through every stage, or finish the one that was begun.

    What is new is decided first, and written down before the first byte is read. With nothing
    new it says so at once, and starts no JVM.
    """
    config = config_of(config_file, flags)
    only = [stage(name) for name in names] or STAGES
    with on_demand(config.spark, say) as start_spark:
        accepted = Accepted(loss=accept_loss, new_topic=accept_new_topic)
        taken = take(config, start_spark, say, only, accepted)
    if taken is None:
        nothing: dict[str, Any] = {"batch": None, "outcome": "nothing new", "stages": []}
        emit(nothing, as_json, lambda: click.echo("nothing new: every input topic is read"))
    else:
        done = {**vars(taken), "outcome": "done"}
        emit(done, as_json, lambda: _show(taken, config))


def _show(taken: Taken, config: Config) -> None:
    click.echo(f"batch {taken.batch}: {', '.join(taken.stages) or 'nothing was left to do'}")
    click.echo(f"report: {config.report / 'index.html'}")


COMMAND = run
