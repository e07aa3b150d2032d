"""compile: answers become outcomes, and outcomes that became known become dataset versions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.feedback import outcomes
from processor.feedback.question import Question, question_of, questions
from processor.feedback.rule import Rule
from processor.loops import LoopConfig
from processor.stages.base import Context, Stage, Writes, watermarks
from processor.stages.breaker import refuse_defects
from processor.stages.expired import expired
from processor.stages.quiet import quiet
from processor.stages.ratings import marks
from processor.stages.recipes import recipes
from processor.stages.sources import answers, inferences, said_of
from processor.stages.versions import build
from processor.tables import (
    DATASET_ROWS,
    DATASETS,
    EXPIRED,
    LABEL_REQUESTS,
    MEASUREMENTS,
    OUTCOMES,
    PROOFS,
    SOURCES,
    TYPED,
)

READ = ("inferences", "ground_truth", "feedback", "sessions", "feature_sets")


def run(context: Context, batch: Batch) -> None:
    """Writes what the batch adds to the ledger, then the versions that follow from it."""
    writes = Writes("compile", context, batch)
    if writes.pending(OUTCOMES):
        context.say("joining answers to inferences")
        writes.frame(OUTCOMES, _union(_changes(context, batch)))
    if writes.pending(EXPIRED):
        over = [each for each in _expired(context, batch) if each is not None]
        writes.frame(EXPIRED, _union(over)) if over else writes.rows(EXPIRED)
    build(context, batch, writes, recipes(context.config))


def _changes(context: Context, batch: Batch) -> Iterator[DataFrame]:
    for loop in context.config.loop.values():
        for question in questions(loop):
            yield additions(context, loop, question, batch)


def _expired(context: Context, batch: Batch) -> Iterator[DataFrame | None]:
    for loop in context.config.loop.values():
        for question in questions(loop):
            yield expired(context, loop, question, batch)


def additions(context: Context, loop: LoopConfig, question: Question, batch: Batch) -> DataFrame:
    """The rows that `batch` adds to the ledger of one metric of a loop."""
    reached = watermarks(context)
    since = question.rule.horizon(reached.get(batch.id - 1))
    said = said_of(context, loop, question, batch, since).where(F.col("batch_id") < batch.id)
    answered, moved = answers(context, loop, question, batch, since)
    changed = outcomes.changes(
        inferences(context, loop, batch, since).select(
            "inference_id", *outcomes.SERVED, "response_time", *outcomes.PLACE
        ),
        answered,
        said.select("inference_id", "batch_id", "timing", *outcomes.KNOWN),
        marks(context, batch),
        outcomes.Now(batch.id, reached.get(batch.id), reached.get(batch.id - 1)),
        question.rule,
        moved,
    )
    return changed.select(
        "*",
        F.lit(batch.id).alias("batch_id"),
        F.lit(loop.loop).alias("loop"),
        F.lit(question.rule.metric).alias("metric"),
    )


def rule_of(loop: LoopConfig) -> Rule:
    """What the loop file says of the answers that its datasets follow."""
    return question_of(loop, loop.outcome).rule


def _union(frames: Iterable[DataFrame]) -> DataFrame:
    return reduce(DataFrame.unionByName, frames)


STAGE = Stage(
    "compile",
    "join answers to inferences, publish dataset versions",
    (*(TYPED[name] for name in READ), PROOFS, OUTCOMES, LABEL_REQUESTS, SOURCES),
    (OUTCOMES, EXPIRED, DATASET_ROWS, MEASUREMENTS, DATASETS),
    run,
    gate=refuse_defects,
    rests=quiet,
)
