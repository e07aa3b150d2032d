"""What every model version said of the same request: whose disagreement policies go by."""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.datasets.chain import Chain
from processor.datasets.disagreement import COMMITTEE
from processor.feedback.outcomes import PLACE, first_by
from processor.feedback.rule import OK
from processor.loops import LoopConfig
from processor.stages.base import Context
from processor.stages.sources import valid_since


def with_committee(
    context: Context,
    loop: LoopConfig,
    batch: Batch,
    chain: Chain,
    said: DataFrame,
    since: datetime | None = None,
) -> DataFrame:
    """`said` as it is, or with COMMITTEE where the chain goes by it.

    Members are those whose outputs landed by the batch, served or shadow, of any model; of several
    outputs of one version the first. `since` is that of `said`: who answered the same request may
    be older by a window.
    """
    if not chain.of_committee:
        return said
    reach = since and since - loop.outcome.window
    times = ("response_time", "event_time")
    named = valid_since(context, "inferences", batch, reach, *times).where(
        F.col("request_id").isNotNull() & (F.col("status") == OK)
    )
    asked = said.select("request_id").where(F.col("request_id").isNotNull())
    member = F.struct("request_id", "model_name", "model_version").alias("member")
    # First of each version, so that no request has more members than there are versions.
    outputs = named.join(asked, "request_id", "left_semi").select(
        member, "pred_label", F.map_entries("class_probs").alias("class_probs"), *PLACE
    )
    each = F.struct("member.model_name", "member.model_version", "pred_label", "class_probs")
    together = (
        first_by(outputs, "member")
        .groupBy(F.col("member.request_id").alias("request_id"))
        .agg(F.array_sort(F.collect_list(each)).alias(COMMITTEE))
    )
    return said.join(together, "request_id", "left")
