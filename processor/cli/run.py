"""bfp run: take the next batch from Kafka through every stage, or finish the one begun."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import click

from processor.cli.common import (
    config_of,
    configured,
    emit,
    grouped,
    moment_of,
    nothing_new,
    say,
    until,
)
from processor.config import Config
from processor.errors import ConfigError
from processor.local.spark import on_demand
from processor.stages.base import Accepted, Request
from processor.stages.catch_up import caught_up, taken_until
from processor.stages.pipeline import STAGES, stage
from processor.stages.runner import Taken


def _accepted(*, accept_loss: bool, accept_new_topic: bool, accept_defects: bool) -> Accepted:
    return Accepted(loss=accept_loss, new_topic=accept_new_topic, defects=accept_defects)


class Span(NamedTuple):
    """Which boundaries to take: all that were missed, or none; the first after a moment."""

    catch_up: bool
    since: str | None


@click.command()
@configured
@click.option("--stage", "names", multiple=True, help="Only this stage (may be repeated).")
@until
@grouped(
    "span",
    Span,
    click.option("--catch-up", is_flag=True, help="One batch for each boundary that was missed."),
    click.option("--since", metavar="TIME", help="With it, before any batch: where they begin."),
)
@grouped(
    "accepted",
    _accepted,
    click.option("--accept-loss", is_flag=True, help="Go on without records that Kafka deleted."),
    click.option("--accept-new-topic", is_flag=True, help="Read a topic that was made anew."),
    click.option("--accept-defects", is_flag=True, help="Go on without records with defects."),
)
def run(
    config_file: Path | None,
    flags: tuple[str, ...],
    as_json: bool,  # noqa: FBT001  # click's flag
    names: tuple[str, ...],
    until_text: str | None,
    span: Span,
    accepted: Accepted,
) -> None:
    """Take the next batch from Kafka through every stage, or finish the one that was begun.

    What is new is decided first, and written down before the first byte is read. With nothing
    new it says so at once, and starts no JVM. With --until, what was begun is finished, and then
    a batch taken that ends at that moment.
    """
    config = config_of(config_file, flags)
    request = Request(moment_of(config, until_text), accepted)
    since = moment_of(config, span.since)
    if span.since is not None and not span.catch_up:
        raise ConfigError("--since says where --catch-up begins", remedy="add --catch-up")
    only = [stage(name) for name in names] or STAGES
    if names and span.catch_up:
        raise ConfigError("--catch-up finishes each batch", remedy="leave out --stage, or it")
    with on_demand(config.spark, say, config.limits) as start_spark:
        if span.catch_up:
            taken = list(caught_up(config, start_spark, say, request, since))
        else:
            taken = list(taken_until(config, start_spark, say, request, only))
    if taken:
        done = {**vars(taken[-1]), "outcome": "done", "batches": [vars(each) for each in taken]}
        emit(done, as_json, lambda: _show(taken, config))
    else:
        nothing: dict[str, Any] = {"batch": None, "outcome": "nothing new", "stages": []}
        told = nothing_new(request.until)
        emit({**nothing, "batches": []}, as_json, lambda: click.echo(told))


def _show(taken: Iterable[Taken], config: Config) -> None:
    for each in taken:
        click.echo(f"batch {each.batch}: {', '.join(each.stages) or 'nothing was left to do'}")
    click.echo(f"report: {config.report / 'index.html'}")


COMMAND = run
