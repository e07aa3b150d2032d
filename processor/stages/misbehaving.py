"""The part of `measure` that finds sources that misbehave, and what was found of them before.

What a batch finds is used from the next one on: datasets of batch N follow what is in `sources`
as of N - 1 (docs/adr/0023).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from processor.batches import Batch
from processor.feedback.question import Question, questions
from processor.feedback.rule import RETRACT
from processor.loops import LoopConfig
from processor.measure.arrivals import ARRIVAL, source_of
from processor.measure.misbehaving import MISBEHAVING, Judgement, judged
from processor.measure.sources.base import Tally
from processor.measure.tallies import (
    TALLY,
    compared,
    epoch,
    is_person,
    matches,
    merged,
    paces,
    union,
)
from processor.measurements import INSUFFICIENT, OVERALL, Measurement
from processor.stages.base import Context, Writes, watermarks
from processor.stages.sources import may_be_recent, recent, valid, valid_since
from processor.table import struct
from processor.tables import COORDINATES, SOURCES
from processor.terms.columns import Columns

FEEDBACK = "feedback"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST = 100_000  # sources that are judged: those that said the most
_JUDGED = struct(
    source=T.StringType(),
    log_e=T.DoubleType(),
    verdict=T.StringType(),
    reasons=T.ArrayType(T.StringType()),
)


def write(context: Context, batch: Batch, writes: Writes) -> list[Measurement]:
    """Judges the sources of every loop that follows feedback; a row for each that changed."""
    loops = [loop for loop in context.config.loop.values() if _asked(loop)]
    if not loops:
        writes.rows(SOURCES)
        return []
    found: list[Measurement] = []
    frames: list[DataFrame] = []
    tallied = [(loop, _tallies(context, loop, batch).persist()) for loop in loops]
    for loop, tallies in tallied:
        verdicts = judged(_known(tallies, loop), loop.sources)
        found += _measured(loop, verdicts)
        frames.append(_rows(tallies, verdicts, loop, batch))
    writes.frame(SOURCES, union(frames))
    for _, tallies in tallied:
        tallies.unpersist()
    return found


def marked(
    context: Context, loop: LoopConfig, batch: Batch, outcomes: DataFrame, since: datetime | None
) -> DataFrame:
    """`outcomes` with `misbehaving`: the answer that counts is of a source found so before.

    Columns in: inference_id, answered_at, origins. Of the answers that an outcome was made of, the
    one that counts is the one that happened when it says: after `since`, as the responses did.
    """
    sources = _found(context, loop, batch)
    events = valid_since(context, FEEDBACK, batch, since, "event_time")
    events = events.withColumn("source", source_of(FEEDBACK))
    place = F.struct(F.col("landed").alias("batch_id"), *COORDINATES)
    theirs = events.join(F.broadcast(sources), "source", "left_semi").select(
        place.alias("_origin"), F.col("event_time").alias("answered_at")
    )
    answers = F.slice("origins", 2, F.size("origins"))  # the first is the inference's own
    used = outcomes.select("inference_id", "answered_at", F.explode(answers).alias("_origin"))
    hit = used.join(theirs, ["_origin", "answered_at"], "left_semi").select("inference_id")
    named = hit.distinct().withColumn("misbehaving", F.lit(True))
    joined = outcomes.join(named, "inference_id", "left")
    return joined.withColumn("misbehaving", F.coalesce("misbehaving", F.lit(False)))


def _found(context: Context, loop: LoopConfig, batch: Batch) -> DataFrame:
    """The sources that were found misbehaving before the batch: column source."""
    earlier = context.frame(SOURCES, batch).where(F.col("batch_id") < batch.id)
    last = _latest(earlier, loop, "verdict")
    return last.where(F.col("verdict") == MISBEHAVING).select("source")


def _latest(rows: DataFrame, loop: LoopConfig, *names: str) -> DataFrame:
    last = F.max_by(F.struct(*names), F.col("batch_id")).alias("_last")
    mine = rows.where(F.col("loop") == loop.loop)
    return mine.groupBy("source").agg(last).select("source", "_last.*")


def _asked(loop: LoopConfig) -> list[Question]:
    return [each for each in questions(loop) if each.signal.source == FEEDBACK]


def _tallies(context: Context, loop: LoopConfig, batch: Batch) -> DataFrame:
    """Everything counted of each source as of the batch, and what was said of it before."""
    said = union([_said(context, loop, each, batch) for each in _asked(loop)])
    lately = said.where("lately")
    found = compared(matches(lately, batch.id, loop.sources), loop.sources)
    earlier = context.frame(SOURCES, batch).where(F.col("batch_id") < batch.id)
    before = _latest(earlier, loop, *TALLY, "verdict")
    tallies = merged(before, paces(said, batch.id, loop.sources), found)
    return tallies.join(before.select("source", F.col("verdict").alias("_was")), "source", "left")


def _said(context: Context, loop: LoopConfig, question: Question, batch: Batch) -> DataFrame:
    """What the events say, each once: of two inferences that one compares, of the first."""
    reading = question.readings(Columns())[0]
    span = question.rule.patience + loop.arrivals.lookback
    before = watermarks(context).get(batch.id - 1)
    start = before and _stretch(before - question.rule.patience, span)
    lately = recent(start)
    events = valid(context, FEEDBACK, batch, may_be_recent(start, batch)).where(reading.counts)
    part = F.col("candidate_id") if question.level.by_candidate else F.lit("")
    return events.where(lately | (F.col("batch_id") == batch.id)).select(
        *("event_id", "event_time", "metric", "reaction_ms"),
        F.concat_ws("|", reading.target, part).alias("target"),
        epoch(span).alias("epoch"),
        source_of(FEEDBACK).alias("source"),
        is_person().alias("person"),
        reading.value.cast("string").alias("value"),
        (F.col("op") == RETRACT).alias("retracts"),
        lately.alias("lately"),
        *ARRIVAL,
    )


def _stretch(at: datetime, span: timedelta) -> datetime:
    """When the stretch of time began that `at` is in.

    Whole stretches only, so that all that was said in one is looked at, whenever it is.
    """
    return _EPOCH + (at - _EPOCH) // span * span


def _known(tallies: DataFrame, loop: LoopConfig) -> dict[str, Tally]:
    """One small row for each source that said enough; no more than `MOST` of them."""
    enough = tallies.where(F.col("answers") >= loop.sources.least_answers)
    ranked = enough.orderBy(F.desc("answers"), "source").limit(MOST)
    rows = ranked.select("source", *TALLY).collect()
    return {
        row["source"]: Tally(**{n: row[n] for n in TALLY if n != "bets"}, bets=tuple(row["bets"]))
        for row in rows
    }


def _rows(
    tallies: DataFrame, verdicts: dict[str, Judgement], loop: LoopConfig, batch: Batch
) -> DataFrame:
    """The rows of what the batch changed: what was counted, or what is said of it."""
    told = [(name, each.log_e, each.verdict, list(each.reasons)) for name, each in verdicts.items()]
    said = tallies.sparkSession.createDataFrame(told, _JUDGED)
    verdict = F.coalesce("verdict", F.lit(INSUFFICIENT))
    both = tallies.join(F.broadcast(said), "source", "left").withColumn("verdict", verdict)
    return both.where(F.col("active") | ~F.col("verdict").eqNullSafe(F.col("_was"))).select(
        F.lit(batch.id).alias("batch_id"),
        F.lit(loop.loop).alias("loop"),
        "source",
        *TALLY,
        *("log_e", "verdict", "reasons"),
    )


def _measured(loop: LoopConfig, verdicts: dict[str, Judgement]) -> Iterator[Measurement]:
    """The share of sources that misbehave, where there are any."""
    if verdicts:
        found = sum(each.verdict == MISBEHAVING for each in verdicts.values())
        yield Measurement(
            loop=loop.loop,
            model_name=loop.model,
            model_version=OVERALL,
            metric="sources.misbehaving",
            slice=OVERALL,
            window="all",
            n=len(verdicts),
            value=found / len(verdicts),
        )
