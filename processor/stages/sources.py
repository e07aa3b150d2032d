"""How stages see events: valid ones only, as of a batch, in the columns that decisions need.

`since` leaves out what was settled (`Rule.horizon`), and with it files that hold nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.feedback import attribution
from processor.feedback.question import Question, question_of
from processor.feedback.rule import OK
from processor.listing import Wanted
from processor.loops import LoopConfig
from processor.stages.base import Context
from processor.tables import COORDINATES, LABEL_REQUESTS, OUTCOMES, TYPED

SHADOW = "SHADOW"  # the role of an inference that nobody saw
SESSION_AGE = timedelta(days=30)
"""What a session last said longer ago tells nothing of who is in it."""


def valid(context: Context, table: str, batch: Batch, holding: Wanted | None = None) -> DataFrame:
    """Valid events as of `batch`, with their place, as `outcomes.PLACE` names it.

    Files that can hold no row of `holding` are left out.
    """
    frame = context.frame(TYPED[table], batch, holding).where(F.size("defects") == 0)
    place = (F.col("origin")[name].alias(name) for name in COORDINATES)
    return frame.select("*", F.col("origin")["batch_id"].alias("landed"), *place)


def valid_since(
    context: Context,
    table: str,
    batch: Batch,
    since: datetime | None,
    *times: str,
    after: int = 0,
) -> DataFrame:
    """Valid events as of `batch`, as `_later` says."""
    return _later(partial(valid, context, table, batch), since, *times, after=after)


def inferences(
    context: Context,
    loop: LoopConfig,
    batch: Batch,
    since: datetime | None = None,
    *,
    after: int = 0,
) -> DataFrame:
    """The loop's inferences that someone saw; `response_time` falls back to `event_time`.

    Those that landed in batches after `after` alone.
    """
    times = ("response_time", "event_time")
    found = valid_since(context, "inferences", batch, since, *times, after=after)
    return attribution.seen(found, loop.model)


def shadows(context: Context, loop: LoopConfig, batch: Batch, *, after: int = 0) -> DataFrame:
    """What shadows of the loop's model came to, which nobody saw."""
    by_role = (F.col("role") == SHADOW) & (F.col("status") == OK)
    found = valid_since(context, "inferences", batch, None, after=after)
    return found.where((F.col("model_name") == loop.model) & by_role)


def shadowed(context: Context, loop: LoopConfig, batch: Batch) -> bool:
    """Whether the batch brought valid predictions of a shadow; asked of Delta, without a JVM."""
    where: list[tuple[str, str, Any]] = [
        ("batch_id", "=", batch.id),
        ("role", "=", SHADOW),
        ("model_name", "=", loop.model),
    ]
    found = context.warehouse.rows(TYPED["inferences"], columns=["defects"], where=where)
    return any(not said for said in found["defects"].to_pylist())


def answers(
    context: Context,
    loop: LoopConfig,
    question: Question,
    batch: Batch,
    since: datetime | None = None,
) -> tuple[DataFrame, DataFrame | None]:
    """The answers to one question, each with the inference that it is about and its credit.

    One that names a label request made before the batch has that request's probability.

    Then the inferences whose shares may have changed in the batch; None where none is shared.
    """
    events = valid_since(context, question.signal.source, batch, since, "event_time")
    said = attribution.read(events, question)
    # Who shares an answer may be older than it by a window.
    reach = question.rule.window if question.level.shared else timedelta(0)
    sharing = inferences(context, loop, batch, since and since - reach)
    seen = attribution.keyed(sharing, question)
    shares = attribution.moved(said, seen, batch.id) if question.level.shared else None
    given = attribution.attribute(said, seen, question)
    asked = requests(context, batch.id - 1, since and since - reach)
    return (given if asked is None else attribution.by_request(given, asked)), shares


def requests(context: Context, as_of: int, since: datetime | None = None) -> DataFrame | None:
    """The labels that every loop asked for, as of a batch; None where nothing ever was."""
    if not context.warehouse.has_rows(LABEL_REQUESTS):
        return None
    made = partial(context.warehouse.frame, context.spark, LABEL_REQUESTS, as_of)
    return _later(made, since, "response_time")


def ledger(
    context: Context,
    loop: LoopConfig,
    batch: Batch,
    since: datetime | None = None,
    *,
    after: int = 0,
) -> DataFrame:
    """What the ledger says, as of `batch`, of the metric that the loop's datasets follow.

    What batches after `after` said alone.
    """
    return said_of(context, loop, question_of(loop, loop.outcome), batch, since, after=after)


def said_of(
    context: Context,
    loop: LoopConfig,
    question: Question,
    batch: Batch,
    since: datetime | None = None,
    *,
    after: int = 0,
) -> DataFrame:
    """What the ledger says, as of `batch`, of one metric of the loop."""
    # First: without its session there are no columns.
    whole = _later(partial(context.frame, OUTCOMES, batch), since, "response_time", after=after)
    return whole.where((F.col("loop") == loop.loop) & (F.col("metric") == question.rule.metric))


def sliced(
    context: Context, rows: DataFrame, batch: Batch, since: datetime | None = None
) -> DataFrame:
    """`rows` with `slices`: the protected attributes of their session, as last known.

    Where all rows responded after `since`, a session that said nothing in SESSION_AGE before it,
    or later, is over, and says nothing.
    """
    heard = since and since - SESSION_AGE
    known = valid_since(context, "sessions", batch, heard, "event_time")
    last = F.max_by("protected_attributes", F.struct("seq", "event_time", "batch_id", "offset"))
    by_session = known.groupBy("session_id").agg(last.alias("slices"))
    return rows.join(by_session, "session_id", "left")


def _later(
    read: Callable[[Wanted], DataFrame], since: datetime | None, *times: str, after: int = 0
) -> DataFrame:
    """Rows of batches after `after`, and after `since` by the first of `times` that says when.

    `read` leaves out files that can hold none of what it is given.
    """
    newer = ("batch_id", ">", after)
    rows = read([[newer]] if since is None else [[newer, (name, ">", since)] for name in times])
    if after:
        rows = rows.where(F.col("batch_id") > after)
    if since is None:
        return rows
    # Not by the coalesced time: Parquet tells parts of files apart by columns alone.
    test, unsaid = F.lit(False), F.lit(True)
    for name in times:
        test |= unsaid & (F.col(name) > F.lit(since))
        unsaid &= F.col(name).isNull()
    return rows.where(test)


def recent(start: datetime | None) -> Column:
    """Whether an event is of `start` (None: any time) or later."""
    return F.lit(True) if start is None else F.col("event_time") >= F.lit(start)


def may_be_recent(start: datetime | None, batch: Batch) -> Wanted | None:
    """What a file has to hold to have an event at or after `start`, or one of the batch's own."""
    if start is None:
        return None
    return [[("event_time", ">=", start)], [("batch_id", "=", batch.id)]]
