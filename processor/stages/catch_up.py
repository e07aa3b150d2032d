"""Several batches in one run: what was begun, what a limit divided, and boundaries missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from processor.config import Config
from processor.schedule import due
from processor.stages.base import Request, Stage
from processor.stages.pipeline import STAGES, past
from processor.stages.runner import Taken, take
from processor.warehouse import Warehouse


def taken_until(
    config: Config,
    start_spark: Callable[[], SparkSession],
    say: Callable[[str], None],
    request: Request,
    only: Sequence[Stage] = STAGES,
) -> Iterator[Taken]:
    """Takes one batch, as asked for; where a moment is asked for, what was begun comes first.

    Raises:
        ProcessorError: as `take` does.
    """
    taken = take(config, start_spark, say, request, only)
    if taken is None:
        return
    yield taken
    if taken.resumed and request.until is not None:
        again = take(config, start_spark, say, request, only)
        if again is not None:
            yield again


def caught_up(
    config: Config,
    start_spark: Callable[[], SparkSession],
    say: Callable[[str], None],
    request: Request,
    since: datetime | None = None,
) -> Iterator[Taken]:
    """Takes a batch for each boundary that no batch ended at yet, in order, each wholly.

    The last is the newest boundary before the clock, or before the moment asked for, and then
    that moment itself. Without a schedule, it is what is there now. A late run makes the batches
    that runs in time would have made.

    Raises:
        ProcessorError: as `take` does; what is taken stays taken.
    """
    for moment in _moments(config, request, since):
        yield from _whole(config, start_spark, say, replace(request, until=moment))


def _moments(config: Config, request: Request, since: datetime | None) -> Iterator[datetime | None]:
    """First where the last batch was to end, which may not be done; then what is due."""
    last = past(Warehouse(config.warehouse)).ended
    if last is not None:
        yield last
    if config.schedule is not None:
        yield from due(config.schedule, last, request.until or datetime.now(UTC), since)
    if config.schedule is None or request.until is not None:
        yield request.until


def _whole(
    config: Config,
    start_spark: Callable[[], SparkSession],
    say: Callable[[str], None],
    request: Request,
) -> Iterator[Taken]:
    """Takes batches until one of them ends where it was asked for; none where one has."""
    while (taken := take(config, start_spark, say, request)) is not None:
        yield taken
        ends_there = taken.cut_time == request.until
        if ends_there and not taken.partial and not (taken.resumed and request.until is None):
            return
