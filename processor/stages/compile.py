"""compile: answers become outcomes, and outcomes that became known become dataset versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from processor.batches import Batch
from processor.config import LoopConfig
from processor.feedback import outcomes
from processor.stages.base import Context, Stage, Writes, watermarks
from processor.stages.sources import answers, inferences
from processor.stages.versions import build, recipes
from processor.tables import DATASET_ROWS, DATASETS, OUTCOMES, PROOFS, TYPED, struct

_MARKS = struct(batch_id=T.LongType(), before=T.TimestampType())


def run(context: Context, batch: Batch) -> None:
    """Writes what the batch adds to the ledger, then the versions that follow from it."""
    writes = Writes("compile", context, batch)
    if writes.pending(OUTCOMES):
        context.say("joining answers to inferences")
        loops = context.config.loop.values()
        writes.frame(OUTCOMES, _union(ledger(context, loop, batch) for loop in loops))
    build(context, batch, writes, recipes(context.config))


def ledger(context: Context, loop: LoopConfig, batch: Batch) -> DataFrame:
    """The rows that `batch` adds to the ledger of one loop."""
    said = context.frame(OUTCOMES, batch).where(
        (F.col("loop") == loop.loop) & (F.col("batch_id") < batch.id)
    )
    reached = watermarks(context)
    changed = outcomes.changes(
        inferences(context, loop, batch).select(
            "inference_id",
            "model_name",
            "model_version",
            "response_time",
            *outcomes.PLACE,
        ),
        answers(context, loop, batch),
        said.select("inference_id", "batch_id", "timing", "state", "value"),
        _marks(context, reached, batch),
        outcomes.Now(batch.id, reached.get(batch.id), reached.get(batch.id - 1)),
        rule_of(loop),
    )
    reward = F.when(F.col("state") == outcomes.POSITIVE, 1.0).when(
        F.col("state") == outcomes.NEGATIVE, 0.0
    )
    return changed.select(
        "*",
        F.lit(batch.id).alias("batch_id"),
        F.lit(loop.loop).alias("loop"),
        F.lit(loop.outcome.metric).alias("metric"),
        reward.alias("reward"),
    )


def rule_of(loop: LoopConfig) -> outcomes.Rule:
    """What the loop file says of answers."""
    told = loop.outcome
    silence = told.negative if told.default == "negative" else None
    return outcomes.Rule(told.metric, told.window, told.grace, told.positive, silence)


def _marks(context: Context, reached: Mapping[int, datetime], batch: Batch) -> DataFrame:
    """Each batch so far, and the watermark of the one before it."""
    rows = [(n, reached.get(n - 1)) for n in range(1, batch.id + 1)]
    return context.spark.createDataFrame(rows, _MARKS)


def _union(frames: Iterable[DataFrame]) -> DataFrame:
    return reduce(DataFrame.unionByName, frames)


STAGE = Stage(
    "compile",
    "join answers to inferences, publish dataset versions",
    (TYPED["inferences"], TYPED["ground_truth"], TYPED["feedback"], PROOFS, OUTCOMES),
    (OUTCOMES, DATASET_ROWS, DATASETS),
    run,
)
