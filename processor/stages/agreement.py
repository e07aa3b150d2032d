"""The part of `measure` that says how far raters agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pyspark.sql import functions as F

from processor.batches import Batch
from processor.feedback.question import Question, questions
from processor.feedback.signals.base import NUMBER
from processor.loops import LoopConfig
from processor.measure.agreement import agreement
from processor.measure.coincidences import coincidences
from processor.measure.counts import Window
from processor.measurements import INSUFFICIENT, OVERALL, Measurement
from processor.stages.base import Context
from processor.stages.ratings import votes
from processor.stages.windows import oldest, windows

MOST_COUNTS = 200_000  # rows that may reach the driver, for one metric


def measured(context: Context, loop: LoopConfig, batch: Batch) -> Iterator[Measurement]:
    """Alpha of each metric whose loop file has a rule of consensus, by window.

    The window `batch` has the inferences that were rated in the batch, with all their ratings.
    """
    spans = windows(loop, context, batch)
    for question in (each for each in questions(loop) if each.consensus is not None):
        yield from _measured(context, loop, question, batch, spans)


def _measured(
    context: Context,
    loop: LoopConfig,
    question: Question,
    batch: Batch,
    spans: Sequence[Window],
) -> Iterator[Measurement]:
    said = "reward" if question.signal.becomes == NUMBER else "value"
    since = oldest(context, question.rule, batch, spans)
    rated = votes(context, loop, question, batch, since).select(
        *("inference_id", "response_time"),
        F.transform("votes", lambda vote: vote[said]).alias("ratings"),
        F.exists("votes", lambda vote: vote["batch_id"] == batch.id).alias("is_new"),
    )
    rows = coincidences(rated, spans).limit(MOST_COUNTS + 1).toArrow().to_pylist()
    for window in spans:
        blank = Measurement(
            loop=loop.loop,
            model_name=loop.model,
            model_version=OVERALL,
            metric=f"agreement.{question.rule.metric}.alpha",
            slice=OVERALL,
            window=window.name,
            n=0,
            window_start=window.start,
            window_end=window.end,
        )
        if len(rows) > MOST_COUNTS:
            many = f"more than {MOST_COUNTS:,} counts: too many different ratings are compared"
            yield replace(blank, verdict=INSUFFICIENT, reason=many)
        else:
            mine = [row for row in rows if row["window"] == window.name]
            yield agreement(mine, question.signal.scale, blank, loop.min_slice_rows)
