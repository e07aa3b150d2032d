"""bfp plan: show what the next run would read and do; nothing is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from processor.cli.common import config_of, configured, emit
from processor.stages.pipeline import STAGES, Planned, next_batch
from processor.warehouse import Warehouse


@click.command()
@configured
def plan(config_file: Path | None, flags: tuple[str, ...], as_json: bool) -> None:  # noqa: FBT001  # click's flag
    """Show what the next run would read and do; nothing is written, and no JVM is started."""
    config = config_of(config_file, flags)
    planned = next_batch(config, Warehouse(config.warehouse), run_id="")
    emit(_document(planned), as_json, lambda: _show(planned))


def _document(planned: Planned | None) -> dict[str, Any]:
    if planned is None:
        return {"batch": None, "ranges": [], "stages": []}
    pending = {stage.name for stage in planned.pending}
    return {
        "batch": planned.batch.id,
        "resumed": planned.stored,
        "planned_at": planned.batch.planned_at,
        "records": planned.batch.expected,
        "ranges": [
            {
                "topic": each.topic,
                "partition": each.partition,
                "start_offset": each.start,
                "end_offset": each.end,
            }
            for each in planned.batch.ranges
        ],
        "stages": [
            {
                "name": stage.name,
                "summary": stage.summary,
                "reads": [table.name for table in stage.reads],
                "writes": [table.name for table in stage.writes],
                "pending": stage.name in pending,
            }
            for stage in STAGES
        ],
    }


def _show(planned: Planned | None) -> None:
    console = Console()
    if planned is None:
        console.print("nothing new: every input topic is read to its end")
        return
    how = "resumed as it was planned" if planned.stored else "new"
    console.print(f"batch {planned.batch.id} ({how}): {planned.batch.expected:,} offsets")
    ranges = Table("topic", "partition", "start", "end", "offsets")
    for each in planned.batch.ranges:
        cells = (each.partition, f"{each.start:,}", f"{each.end:,}", f"{each.expected:,}")
        ranges.add_row(each.topic, *map(str, cells))
    console.print(ranges)
    stages = Table("stage", "does", "writes", "state")
    for stage in STAGES:
        state = "to do" if stage in planned.pending else "done"
        stages.add_row(stage.name, stage.summary, ", ".join(t.name for t in stage.writes), state)
    console.print(stages)


COMMAND = plan
