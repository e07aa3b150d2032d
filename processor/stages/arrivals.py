"""The part of `measure` that counts what is amiss among the answers of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.feedback.question import Question, questions
from processor.loops import LoopConfig
from processor.measure.arrivals import (
    ARRIVAL,
    SUBJECT,
    TARGETS,
    Counts,
    about,
    counted,
    rates,
    source_of,
    targets,
)
from processor.measurements import Measurement
from processor.stages.base import Context, watermarks
from processor.stages.sources import may_be_recent, recent, valid
from processor.terms.columns import Columns

_PARTS = {"feedback": ("candidate_id", "item_id"), "ground_truth": ()}
"""What an event may be about of its target, by table."""


def arrivals(context: Context, loop: LoopConfig, batch: Batch) -> Iterator[Measurement]:
    """The rates of each table that the loop's answers come from, in one job each."""
    asked = questions(loop)
    for table in sorted({each.signal.source for each in asked}):
        mine = [each for each in asked if each.signal.source == table]
        since = watermarks(context).get(batch.id)
        found = counted(
            _events(context, loop, mine, batch, since),
            targets(_reachable(context, loop, mine, batch, since), _keys(mine)),
            batch.id,
            loop.arrivals,
        )
        (row,) = found.collect()
        yield from rates(loop, table, Counts(**row.asDict()))


def _events(
    context: Context, loop: LoopConfig, asked: list[Question], batch: Batch, mark: datetime | None
) -> DataFrame:
    """What was said of the loop's metrics: in this batch, and lately."""
    table = asked[0].signal.source
    start = mark and mark - loop.arrivals.lookback
    lately = recent(start)
    parts = (F.coalesce(name, F.lit("")) for name in _PARTS[table])
    metrics = [each.rule.metric for each in asked]
    said = valid(context, table, batch, may_be_recent(start, batch))
    mine = said.where(F.col("metric").isin(*metrics))
    return mine.where(lately | (F.col("batch_id") == batch.id)).select(
        *("event_id", "event_time", "metric"),
        (F.col("op") == "CREATE").alias("created"),
        lately.alias("recent"),
        _asks(asked).alias("asked"),
        reduce(or_, (each.blank(Columns()) for each in asked)).alias("blank"),
        source_of(table).alias("source"),
        _about(table, asked).alias("about"),
        F.concat_ws("|", *parts).alias("part"),
        *ARRIVAL,
    )


def _asks(asked: list[Question]) -> Column:
    return reduce(or_, (each.asks(Columns()) for each in asked))


def _unnamed(asked: list[Question]) -> list[Question]:
    """Those about sessions without a name."""
    return [each for each in asked if each.level.gap is not None]


def _about(table: str, asked: list[Question]) -> Column:
    unnamed = _unnamed(asked)
    return about(table, _asks(unnamed) if unnamed else None)


def _keys(asked: list[Question]) -> tuple[str, ...]:
    return (*TARGETS, SUBJECT) if _unnamed(asked) else TARGETS


def _reachable(
    context: Context, loop: LoopConfig, asked: list[Question], batch: Batch, mark: datetime | None
) -> DataFrame:
    """The inferences that a recent answer in its window can be about, of any model."""
    longest = max(each.rule.patience for each in asked)
    start = mark and mark - loop.arrivals.lookback - longest
    return valid(context, "inferences", batch, may_be_recent(start, batch)).where(recent(start))
