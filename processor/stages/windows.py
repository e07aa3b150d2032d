"""The windows that a loop is measured over, and how far back they look."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from processor.batches import Batch
from processor.errors import ConfigError
from processor.feedback.rule import Rule
from processor.loops import LoopConfig
from processor.measure.counts import Window
from processor.sections import LONGEST, parse_duration
from processor.stages.base import Context, watermarks

BATCH_WINDOW = "batch"
MOMENT = timedelta(microseconds=1)  # the least by which times differ


def check_windows(loop: LoopConfig) -> dict[str, timedelta | None]:
    """The span of each window of a loop, None for `batch`; raises ConfigError for any other."""
    spans = {name: _span(name) for name in loop.windows if name != BATCH_WINDOW}
    for name, span in spans.items():
        if span is None:
            raise ConfigError(
                f"the loop {loop.loop!r} has no window {name!r}",
                remedy="write `batch` or a span such as 30d",
            )
    return {name: spans.get(name) for name in loop.windows}


def _span(name: str) -> timedelta | None:
    try:
        span = parse_duration(name)
    except ValueError:
        return None
    return span if isinstance(span, timedelta) and timedelta(0) < span <= LONGEST else None


def windows(loop: LoopConfig, context: Context, batch: Batch) -> list[Window]:
    """The loop's windows as of the batch: `batch`, and rolling ones that end at its watermark."""
    mark = watermarks(context).get(batch.id)
    found: list[Window] = []
    for name, span in check_windows(loop).items():
        if span is None:
            found.append(Window(name, None, None))
        elif mark is not None:
            found.append(Window(name, mark - span, mark))
    return found


def oldest(context: Context, rule: Rule, batch: Batch, spans: Iterable[Window]) -> datetime | None:
    """No window has a row that responded by then; None: they may have any."""
    new = rule.horizon(watermarks(context).get(batch.id - 1))
    starts = [new if span.start is None else span.start - MOMENT for span in spans]
    return min((each for each in starts if each), default=None) if all(starts) else None
