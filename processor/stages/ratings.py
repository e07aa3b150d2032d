"""What raters say as of a batch, whatever the ledger makes of it: for agreement, and for labels."""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import types as T

from processor.batches import Batch
from processor.feedback import outcomes
from processor.feedback.question import Question
from processor.loops import LoopConfig
from processor.stages.base import Context, watermarks
from processor.stages.sources import answers, inferences
from processor.table import struct

_MARKS = struct(batch_id=T.LongType(), before=T.TimestampType())


def marks(context: Context, batch: Batch) -> DataFrame:
    """Each batch so far, and the watermark of the one before it."""
    reached = watermarks(context)
    rows = [(n, reached.get(n - 1)) for n in range(1, batch.id + 1)]
    return context.spark.createDataFrame(rows, _MARKS)


def votes(
    context: Context,
    loop: LoopConfig,
    question: Question,
    batch: Batch,
    since: datetime | None = None,
) -> DataFrame:
    """What each rater says of each inference that responded after `since`: as `outcomes.votes`."""
    asked = question.by_rater()
    answered, _ = answers(context, loop, asked, batch, since)
    told = inferences(context, loop, batch, since)
    said = told.select("inference_id", "response_time", *outcomes.PLACE)
    return outcomes.votes(said, answered, marks(context, batch), asked.rule)
