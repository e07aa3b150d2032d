"""solicit: inferences that nobody answered are chosen with known probability, to be asked about."""

from __future__ import annotations

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
from processor.stages.base import Context, Stage, Writes, watermarks
from processor.stages.committee import with_committee
from processor.stages.quiet import quiet
from processor.stages.recipes import POLICIES
from processor.stages.sources import inferences, ledger
from processor.tables import LABEL_REQUESTS, OUTCOMES, PROOFS, TYPED

FEEDBACK = "feedback"


def run(context: Context, batch: Batch) -> None:
    """Writes the label requests of the batch; a loop that asks for none adds nothing."""
    writes = Writes("solicit", context, batch)
    if not writes.pending(LABEL_REQUESTS):
        return
    asked = askings(context.config)
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
    (LABEL_REQUESTS,),
    run,
    rests=quiet,
)
