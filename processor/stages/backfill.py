"""Past batches made anew under today's configuration, beside what was published."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pyspark.sql import SparkSession

from processor.config import Config
from processor.errors import ConfigError
from processor.lock import held
from processor.overlay import Overlay
from processor.stages import compile as compile_
from processor.stages import decide, evaluate, measure, report, validate
from processor.stages.base import Accepted, Context
from processor.stages.pipeline import BACKFILLS, last_planned, preflight, stored_batch
from processor.stages.runner import run_stages
from processor.version import code_version
from processor.warehouse import Warehouse

MADE_ANEW = (compile_.STAGE, measure.STAGE, evaluate.STAGE, decide.STAGE, report.STAGE)
"""What follows from events and configuration; nothing is published, so there are no receipts."""

HASH_LENGTH = 12  # hex digits of the configuration: those of one warehouse are few
STANDING = Accepted(loss=True, new_topic=True, defects=True)
"""What the runs of those batches were told to accept stays accepted."""


class Place(NamedTuple):
    """Where a backfill's tables are, and its report."""

    warehouse: str
    report: Path


def place(config: Config) -> Place:
    """Where a backfill under this configuration is: one folder for each configuration hash."""
    mark = config.hash[:HASH_LENGTH]
    where = Warehouse(config.warehouse).uri(BACKFILLS, mark)
    return Place(
        where, config.report / BACKFILLS / mark if "://" in where else Path(where) / "report"
    )


def backfilled(
    config: Config,
    start_spark: Callable[[], SparkSession],
    say: Callable[[str], None],
    upto: int | None = None,
) -> Iterator[int]:
    """Makes batches 1 to `upto` (None: all) anew; gives each that was not there yet.

    Raises:
        ConfigError: there is no such batch, or it is not decoded yet.
        BatchHeld: another run is at work on the same backfill.
    """
    preflight(config)
    base = Warehouse(config.warehouse)
    last = _last(base, upto)
    where = place(config)
    run_id = f"backfill-{config.hash[:HASH_LENGTH]}"
    with held(where.warehouse, config.batch.lease):
        told = config.model_copy(update={"report": where.report})
        overlay = Overlay(base, where.warehouse)
        context = Context(told, overlay, run_id, start_spark, say, STANDING)
        for number in range(1, last + 1):
            due = [each for each in MADE_ANEW if not each.done(overlay, number)]
            if due:
                say(f"batch {number} of {last}")
                batch = stored_batch(base, number)
                anew = replace(batch, config_hash=config.hash, code_version=code_version())
                run_stages(context, anew, due)
                yield number


def _last(base: Warehouse, upto: int | None) -> int:
    last_planned(base)
    writes = validate.STAGE.writes
    decoded = min(base.committed(table, validate.STAGE.writer(table)) for table in writes)
    if decoded == 0 or (upto or 0) > decoded:
        raise ConfigError(
            f"batch {upto or 1} is not decoded yet", remedy="take it first, with `bfp run`"
        )
    return upto or decoded
