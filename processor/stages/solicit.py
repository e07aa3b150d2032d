"""solicit: inferences that nobody answered are chosen with known probability, to be asked about."""

from __future__ import annotations

import json
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.config import Config
from processor.datasets.requests import Asking, asking, requested
from processor.errors import ConfigError
from processor.feedback.outcomes import PLACE, first_by
from processor.feedback.question import question_of
from processor.feedback.standing import latest
from processor.loops import LoopConfig
from processor.measurements import ASKED, OVERALL, Measurement
from processor.stages.base import Context, Stage, Writes, watermarks
from processor.stages.committee import with_committee
from processor.stages.quiet import quiet
from processor.stages.recipes import POLICIES
from processor.stages.sources import inferences, ledger
from processor.tables import LABEL_REQUESTS, MEASUREMENTS, OUTCOMES, PROOFS, TYPED

FEEDBACK = "feedback"


def run(context: Context, batch: Batch) -> None:
    """Writes the label requests of the batch, then by what policy each loop made its own.

    A loop that asks for none adds nothing.
    """
    writes = Writes("solicit", context, batch)
    asked = askings(context.config)
    if writes.pending(LABEL_REQUESTS):
        _ask(context, batch, asked, writes)
    if writes.pending(MEASUREMENTS):
        # Under another configuration than it was planned with, who knows which one asked.
        is_own = batch.config_hash == context.config.hash
        told = [_measured(context, batch, each) for each in asked if is_own]
        writes.rows(MEASUREMENTS, [{"batch_id": batch.id, **vars(each)} for each in told])


def _ask(context: Context, batch: Batch, asked: list[Asking], writes: Writes) -> None:
    if not asked:
        writes.rows(LABEL_REQUESTS)
        return
    context.say("choosing whom to ask about")
    # Candidates are counted first and drawn after.
    found = [(each, _candidates(context, batch, each).persist()) for each in asked]
    made = [_requests(context, batch, each, candidates) for each, candidates in found]
    writes.frame(LABEL_REQUESTS, reduce(DataFrame.unionByName, made))
    for _, candidates in found:
        candidates.unpersist()


def askings(config: Config) -> list[Asking]:
    """How each loop that asks for labels does so.

    Raises:
        ConfigError: as `requests.asking` does, or the answers could not name what they answer.
    """
    found = [(loop, asking(loop, POLICIES)) for loop in config.loop.values()]
    return [_answerable(loop, each) for loop, each in found if each is not None]


def can_ask(loop: LoopConfig) -> bool:
    """Whether answers of the loop can name the request that they answer."""
    question = question_of(loop, loop.outcome)
    return question.signal.source == FEEDBACK and not question.level.shared


def _answerable(loop: LoopConfig, each: Asking) -> Asking:
    question = question_of(loop, loop.outcome)
    where = f"the loop {loop.loop!r}, label_requests"
    if question.signal.source != FEEDBACK:
        raise ConfigError(
            f"{where}: a ground truth names no query that it answers",
            remedy="let `outcome` come from feedback, or leave `label_requests` out",
        )
    if question.level.shared:
        raise ConfigError(
            f"{where}: a label is asked for of one inference, not of a {question.level.name}",
            remedy="write `level: inference` in `outcome`, or leave `label_requests` out",
        )
    return each


def _measured(context: Context, batch: Batch, each: Asking) -> Measurement:
    """How many labels the loop asks for in the batch; the reason is the policy, as it was told."""
    mine = [("batch_id", "=", batch.id), ("loop", "=", each.loop.loop)]
    made = context.warehouse.rows(LABEL_REQUESTS, columns=["loop"], where=mine).num_rows
    return Measurement(
        loop=each.loop.loop,
        model_name=each.loop.model,
        model_version=OVERALL,
        metric=ASKED,
        slice=OVERALL,
        window="batch",
        n=made,
        value=made,
        reason=json.dumps(each.loop.label_requests, sort_keys=True, default=str),
    )


def ways(context: Context, loop: LoopConfig) -> dict[int, str]:
    """By batch, what the loop file said of label requests when the batch asked."""
    rows = context.warehouse.rows(
        MEASUREMENTS,
        columns=["batch_id", "reason"],
        where=[("loop", "=", loop.loop), ("metric", "=", ASKED)],
    ).to_pylist()
    return {row["batch_id"]: row["reason"] for row in rows}


def _requests(context: Context, batch: Batch, each: Asking, candidates: DataFrame) -> DataFrame:
    now = watermarks(context).get(batch.id, batch.planned_at)
    made = requested(candidates, each, now, each.loop.outcome.window)
    return made.withColumn("batch_id", F.lit(batch.id))


def _candidates(context: Context, batch: Batch, each: Asking) -> DataFrame:
    """The inferences that landed in the batch, and of which nothing is known.

    One is a candidate in one batch only, so nobody is asked twice, and what is drawn for it once
    is the whole of its probability.
    """
    loop, reached = each.loop, watermarks(context)
    now = reached.get(batch.id, batch.planned_at)
    since = question_of(loop, loop.outcome).rule.horizon(reached.get(batch.id - 1))
    seen = inferences(context, loop, batch, since)
    is_new = F.col("batch_id") == batch.id
    new = with_committee(context, loop, batch, each.chain, seen.where(is_new), since)
    named = new.select(
        *("inference_id", "response_time", "training_allowed"), *each.chain.reads(), *PLACE
    )
    can_answer = F.col("response_time") + F.lit(loop.outcome.window) > F.lit(now)
    before = seen.where(~is_new).select("inference_id")
    known = latest(ledger(context, loop, batch, since), "state").select("inference_id")
    return (
        first_by(named, "inference_id")
        .where(F.col("training_allowed") & can_answer)
        .join(before.union(known), "inference_id", "left_anti")
    )


STAGE = Stage(
    "solicit",
    "choose inferences to ask labels for",
    (TYPED["inferences"], OUTCOMES, PROOFS),
    (LABEL_REQUESTS, MEASUREMENTS),
    run,
    rests=quiet,
)
