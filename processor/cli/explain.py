"""bfp explain: say why an inference is, or is not, in a dataset; or what became of an event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from processor.cli.common import config_of, configured, emit, say
from processor.feedback.rule import RETRACT
from processor.local.spark import on_demand
from processor.stages.explain_event import explain_event
from processor.stages.explain_row import explain_row
from processor.warehouse import Warehouse

Show = Callable[[str], None]


@click.group()
def explain() -> None:
    """Say why an inference is, or is not, in a dataset; or what became of an event."""


@explain.command()
@configured
@click.argument("version", metavar="DATASET/VERSION")
@click.argument("inference_id")
def row(
    config_file: Path | None,
    flags: tuple[str, ...],
    as_json: bool,  # noqa: FBT001  # click's flag
    version: str,
    inference_id: str,
) -> None:
    """Say each step that put an inference into a version, or kept it out.

    Events, answers, ledger, split, sampling and weight are those of the version's batch, and the
    decision is computed again. Spark starts only where there is one.
    """
    config = config_of(config_file, flags)
    with on_demand(config.spark, say) as start_spark:
        document = explain_row(config, start_spark, say, version, inference_id)
    emit(document, as_json, lambda: _show_row(document, click.echo))


@explain.command()
@configured
@click.argument("place", metavar="TOPIC/PARTITION/OFFSET")
def event(config_file: Path | None, flags: tuple[str, ...], as_json: bool, place: str) -> None:  # noqa: FBT001  # click's flag
    """Say where an event landed, what it is about, and which rows were made of it; no JVM."""
    config = config_of(config_file, flags)
    document = explain_event(config, Warehouse(config.warehouse), place)
    emit(document, as_json, lambda: _show_event(document, click.echo))


def _show_row(told: dict[str, Any], show: Show) -> None:
    within = "is in" if told["is_in"] else "is not in"
    show(f"{told['inference_id']} {within} {told['version']} (batch {told['batch']}):")
    show(f"  {told['why']}")
    show("events:")
    for each in told["events"]:
        _show_attempt(each, show)
    if told["served"]:
        show(
            f"  its window closes at {told['window_closes']}; the watermark is {told['watermark']}"
        )
    show("answers:" if told["answers"] else "answers: none")
    for each in told["answers"]:
        _show_attempt(each, show)
        counts = ", and counts" if each["counts"] else ""
        counts += f"; it repeats {each['repeats']}" if each["repeats"] else ""
        said = f"{each['op']} {each['value']}, reward {each['reward']}, credit {each['credit']}"
        show(f"    {each['event_id']}: {said}: {each['timing']}{counts}")
    _show_session(told["session"], show)
    _show_ledger(told["ledger"], show)
    if told["decision"]:
        _show_decision(told["decision"], show)


def _show_session(rows: list[dict[str, Any]], show: Show) -> None:
    if rows:
        show("session:")
    for each in rows:
        _show_attempt(each, show)
        said = ", ".join(f"{name} {value}" for name, value in each["values"].items())
        when = f"happened {each['event_time']}, said {each['timestamp']}"
        show(f"    {each['event_id']}: {said}; {when}: {each['why']}")


def _show_decision(told: dict[str, Any], show: Show) -> None:
    show(f"decision: {told['reason']}, label {told['label']}")
    for title in ("split", "sampling", "weight"):
        said = ", ".join(f"{name} {value}" for name, value in told[title].items())
        show(f"  {title}: {said}")


def _show_event(told: dict[str, Any], show: Show) -> None:
    for landing in told["landings"]:
        start, end = landing["range"]
        show(f"batch {landing['batch']} took the offsets {start} to {end - 1}")
        if landing["hole"]:
            show(f"  no record: {_counts(landing['hole'])}")
        for each in landing["attempts"]:
            _show_attempt(each, show)
        for sentence in _besides(landing):
            show(f"  {sentence}")
        for each in landing["about"]:
            _show_about(each, show)
        _show_ledger(landing["ledger"], show)
        for each in landing["versions"]:
            name = f"{each['dataset']}/{each['version']}"
            said = f"{each['split']}, label {each['label']}, weight {each['weight']}"
            show(f"  in {name}{_of(each['inference_id'])}: {said}")


def _besides(landing: dict[str, Any]) -> Iterator[str]:
    """What an event is to others of its topic."""
    if landing["repeats"]:
        yield f"it repeats the event at {landing['repeats']}: an event counts once"
    if revised := landing["revises"]:
        does = "takes back" if landing["event"]["op"] == RETRACT else "revises"
        where = f"at {revised['place']}" if revised["place"] else "which has not landed"
        yield f"it {does} the event {revised['event_id']}, {where}"


def _show_about(each: dict[str, Any], show: Show) -> None:
    if each["loop"] is None:
        show(f"  {each['what']}")
        return
    of = f"{each['loop']}/{each['metric']}" if each["metric"] else each["loop"]
    credit = f", credit {each['credit']}" if "credit" in each else ""
    show(f"  {of}: {each['what']}{_of(each['inference_id'])}{credit}")


def _show_attempt(told: dict[str, Any], show: Show) -> None:
    place = f"{told['topic']}/{told['partition']}/{told['offset']}"
    where = f"landed in batch {told['landed_in_batch']}"
    again = f", attempt {told['attempt']} in batch {told['batch']}" if told["attempt"] > 1 else ""
    codes = ", ".join(f"{each['code']} ({each['detail']})" for each in told["defects"])
    show(f"  {place}: {where}{again}, schema {told['schema']}: {codes or 'valid'}")


def _show_ledger(rows: list[dict[str, Any]], show: Show) -> None:
    show("ledger:" if rows else "ledger: nothing")
    for each in rows:
        said = f"{each['state']} ({each['timing']}) {each['value']}, credit {each['credit']}"
        origins = ", ".join(each["origins"])
        show(f"  batch {each['batch']}, {each['metric']}: {said}, of {origins}")


def _counts(hole: dict[str, Any]) -> str:
    if hole["is_lost"]:
        return "it is lost"
    counts = ", ".join(f"{n} {name}" for name, n in hole.items() if name != "is_lost")
    return f"of its range are {counts}"


def _of(inference_id: str | None) -> str:
    return f" of {inference_id}" if inference_id else ""


COMMAND = explain
