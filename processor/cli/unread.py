"""What commands say of unread records and of how long Kafka keeps them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click
from rich.console import Console

from processor.cli.grid import grid
from processor.retention import Remaining
from processor.stages.unread import Unread

BY_ARRIVAL, BY_OFFSET = "arrival", "offset order"
"""How the first record of a moment is found: exactly, or as the producers' clocks allow."""


def cut_by(found: Unread, topic: str) -> str:
    """By what a cut at a moment goes on this topic."""
    told = found.settings.get(topic)
    return BY_ARRIVAL if told is not None and told.by_arrival else BY_OFFSET


def document(found: Unread) -> dict[str, Any]:
    """What is unread, for --json."""
    return {"retention": [asdict(each) for each in found.topics], "warnings": found.warnings}


def warn(found: Unread) -> None:
    """Warnings, on stderr."""
    for sentence in found.warnings:
        click.echo(f"warning: {sentence}", err=True)


def show(console: Console, found: Unread) -> None:
    """A line for each topic with something unread."""
    waiting = [each for each in found.topics if each.oldest_unread is not None]
    if not waiting:
        return
    table = grid("topic", "oldest unread record", "deleted in")
    for each in waiting:
        table.add_row(each.topic, f"{each.oldest_unread:%Y-%m-%d %H:%M:%S}", _left(each))
    console.print(table)


def _left(each: Remaining) -> str:
    limit = "no limit in time" if each.hours_left is None else f"{each.hours_left:,.1f} hours"
    return f"{limit}; its size is limited too: cannot be foretold" if each.by_size else limit
