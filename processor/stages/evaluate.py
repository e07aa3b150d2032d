"""evaluate: candidates that answered the same requests as the baseline, row against row."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.evaluate.paired import PairedCounts
from processor.evaluate.verdict import verdict
from processor.feedback.outcomes import PLACE, first_by
from processor.feedback.standing import latest
from processor.loops import LoopConfig
from processor.measure.counts import slices
from processor.measurements import Measurement
from processor.stages.base import Context, Stage, Writes
from processor.stages.sources import inferences, ledger, shadowed, shadows, sliced
from processor.tables import MEASUREMENTS, OUTCOMES, TYPED


def run(context: Context, batch: Batch) -> None:
    """Holds every candidate of which the batch brought predictions against the baseline."""
    writes = Writes("evaluate", context, batch)
    if not writes.pending(MEASUREMENTS):
        return
    found = [m for loop in context.config.loop.values() for m in _verdicts(context, loop, batch)]
    writes.rows(MEASUREMENTS, [{"batch_id": batch.id, **vars(m)} for m in found])


def _verdicts(context: Context, loop: LoopConfig, batch: Batch) -> list[Measurement]:
    if not shadowed(context, loop, batch):
        return []
    counted: dict[tuple[str, str], dict[str, PairedCounts]] = {}
    for row in _pairs(context, loop, batch).collect():
        of = counted.setdefault((row["baseline"], row["candidate"]), {})
        names = ("both_right", "only_baseline", "only_candidate", "both_wrong")
        of[row["slice"]] = PairedCounts(*(row[name] for name in names))
    return [
        measurement
        for (baseline, candidate), by_slice in sorted(counted.items())
        for measurement in verdict(loop, baseline, candidate, by_slice)
    ]


def _pairs(context: Context, loop: LoopConfig, batch: Batch) -> DataFrame:
    """Rows that both models answered and whose truth is known: by versions and slice."""
    truth = latest(ledger(context, loop, batch), "value")
    labels = truth.where(F.col("value").isNotNull()).select(
        "inference_id", F.col("value").alias("label")
    )
    said = shadows(context, loop, batch).select(*_ANSWER, *PLACE)
    theirs = first_by(said, "inference_id").select(
        "request_id", F.col("model_version").alias("candidate"), F.col("pred_label").alias("guess")
    )
    mine = first_by(
        inferences(context, loop, batch).select(*_ANSWER, "session_id", *PLACE), "inference_id"
    )
    rows = (
        sliced(context, mine, batch)
        .join(labels, "inference_id")
        .join(theirs.dropDuplicates(["request_id", "candidate"]), "request_id")
        .select("*", F.explode(slices(loop.slices)).alias("slice"))
    )
    right, theirs_right = F.col("pred_label") == F.col("label"), F.col("guess") == F.col("label")
    return rows.groupBy(F.col("model_version").alias("baseline"), "candidate", "slice").agg(
        F.count_if(right & theirs_right).alias("both_right"),
        F.count_if(right & ~theirs_right).alias("only_baseline"),
        F.count_if(~right & theirs_right).alias("only_candidate"),
        F.count_if(~right & ~theirs_right).alias("both_wrong"),
    )


_ANSWER = ("inference_id", "request_id", "model_version", "pred_label")

STAGE = Stage(
    "evaluate",
    "hold candidates against the baseline on the same rows",
    (TYPED["inferences"], TYPED["sessions"], OUTCOMES),
    (MEASUREMENTS,),
    run,
)
