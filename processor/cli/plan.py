"""bfp plan: show what the next run would read and do; nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from processor.batches import Batch, Partition, Range
from processor.cli.common import config_of, configured, emit, moment_of, nothing_new, until
from processor.cli.grid import grid
from processor.cli.unread import BY_OFFSET, cut_by, document, show, warn
from processor.stages.base import Request
from processor.stages.cut import Nothing
from processor.stages.pipeline import STAGES, Planned, next_batch, preflight, shortfall, told
from processor.stages.unread import Unread, unread
from processor.warehouse import Warehouse


@click.command()
@configured
@until
def plan(
    config_file: Path | None,
    flags: tuple[str, ...],
    as_json: bool,  # noqa: FBT001  # click's flag
    until_text: str | None,
) -> None:
    """Show what the next run would read and do; nothing is written, and no JVM is started."""
    config = config_of(config_file, flags)
    preflight(config)
    warehouse = Warehouse(config.warehouse)
    request = Request(until=moment_of(config, until_text))
    planned = next_batch(config, warehouse, run_id="", request=request)
    found = unread(config, warehouse)
    warn(found)
    whole = {**_document(planned, found), **document(found)}
    emit(whole, as_json, lambda: _show(planned, request, found))


def _document(planned: Planned | Nothing, found: Unread) -> dict[str, Any]:
    held_back = sum(planned.held_back.values())
    if isinstance(planned, Nothing):
        return {"batch": None, "held_back": held_back, "ranges": [], "stages": []}
    batch = planned.batch
    return {
        "batch": batch.id,
        "resumed": planned.stored,
        "planned_at": batch.planned_at,
        "cut_time": batch.cut_time,
        "cut_by": {t: cut_by(found, t) for t in _topics(batch)} if batch.cut_time else {},
        "records": batch.expected,
        "left_over": sum(each.left_over for each in batch.ranges),
        "held_back": held_back,
        "ranges": [_range(planned, each) for each in batch.ranges],
        "stages": [
            {
                "name": stage.name,
                "summary": stage.summary,
                "reads": [table.name for table in stage.reads],
                "writes": [table.name for table in stage.writes],
                "pending": stage in planned.pending,
            }
            for stage in STAGES
        ],
    }


def _topics(batch: Batch) -> list[str]:
    return sorted({each.topic for each in batch.ranges})


def _range(planned: Planned, each: Range) -> dict[str, Any]:
    return {
        "topic": each.topic,
        "partition": each.partition,
        "start_offset": each.start,
        "end_offset": each.end,
        "first_seen": each.first_seen,
        "left_over": each.left_over,
        "held_back": planned.held_back.get(Partition(each.topic, each.partition), 0),
    }


def _show(planned: Planned | Nothing, request: Request, found: Unread) -> None:
    console = Console(markup=False)
    if isinstance(planned, Nothing):
        for sentence in (nothing_new(request.until), *shortfall(planned.held_back)):
            console.print(sentence)
    else:
        _show_batch(console, planned, found)
    show(console, found)


def _show_batch(console: Console, planned: Planned, found: Unread) -> None:
    batch = planned.batch
    how = "resumed as it was planned" if planned.stored else "new"
    first, *more = told(planned)
    console.print(f"{first} ({how})")
    for sentence in (*more, *(_cut_by(batch, found) if batch.cut_time else ())):
        console.print(sentence)
    ranges = grid("topic", "partition", "start", "end", "offsets", "")
    for each in batch.ranges:
        cells = (each.partition, f"{each.start:,}", f"{each.end:,}", f"{each.expected:,}")
        ranges.add_row(each.topic, *map(str, cells), "first seen" if each.first_seen else "")
    console.print(ranges)
    stages = grid("stage", "does", "writes", "state")
    for stage in STAGES:
        state = "to do" if stage in planned.pending else "done"
        stages.add_row(stage.name, stage.summary, ", ".join(t.name for t in stage.writes), state)
    console.print(stages)


def _cut_by(batch: Batch, found: Unread) -> Iterator[str]:
    loose = [topic for topic in _topics(batch) if cut_by(found, topic) == BY_OFFSET]
    if loose:
        yield (
            "by offset order, since timestamps there are the producers': up to the first record of"
            f" that time or later, also if older ones follow: {', '.join(loose)}"
        )


COMMAND = plan
