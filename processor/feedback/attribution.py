"""Which inferences an answer is about, and how much of it each of them has; many at once. Pure.

The same as `processor.feedback.answer` says of one event.
"""

from __future__ import annotations

from datetime import timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from processor.feedback.consensus.base import WHOLE_WEIGHT
from processor.feedback.credit.base import BEHIND, FROM_FIRST, FROM_LAST
from processor.feedback.levels import MAX_REVISIONS
from processor.feedback.outcomes import PLACE, VOICE, first_by, needed
from processor.feedback.question import Question
from processor.feedback.rule import CREDITED_ROLES, OK, WHOLE
from processor.terms.columns import Columns

_SAID = (
    *("event_id", "event_time", "value", "reward", "op", "supersedes"),
    *("query_id", "solicit_prob"),
)
_PER_SECOND = 1e6  # microseconds


def seen(inferences: DataFrame, model: str) -> DataFrame:
    """The inferences of a model that someone saw; `response_time` falls back to `event_time`.

    Columns in: the fields of InferenceEvent; out: the same.
    """
    by_role = F.col("role").isin(*CREDITED_ROLES) & (F.col("status") == OK)
    answered = inferences.where((F.col("model_name") == model) & by_role)
    return answered.withColumn("response_time", F.coalesce("response_time", "event_time"))


def read(events: DataFrame, question: Question) -> DataFrame:
    """What the events say; those that do not answer the question say nothing.

    Columns in: the fields of FeedbackEvent or GroundTruth, and PLACE.
    Columns out: target, event_id, event_time, value, reward, op, supersedes, query_id,
    solicit_prob, PLACE, candidate_id where the question is about candidates, and what the rule
    needs besides (`outcomes.needed`).
    """
    candidate = ("candidate_id",) if question.level.by_candidate else ()
    vote, asked = question.vote(Columns()), question.solicited(Columns())
    whose: list[Column] = []
    if vote is not None:
        whose += [vote.rater.alias("rater"), _millionths(vote.weight)]
    if question.rule.near is not None:
        whose.append(question.voice(Columns()).alias(VOICE))
    said = (
        events.where(reading.counts).select(
            reading.target.alias("target"),
            *("event_id", "event_time"),
            reading.value.cast("string").alias("value"),
            reading.reward.cast("double").alias("reward"),
            *("op", "supersedes", *candidate),
            asked.query_id.cast("string").alias("query_id"),
            asked.probability.cast("double").alias("solicit_prob"),
            *PLACE,
            *whose,
        )
        for reading in question.readings(Columns())
    )
    return reduce(DataFrame.unionByName, said)


def attribute(said: DataFrame, inferences: DataFrame, question: Question) -> DataFrame:
    """The answers of each inference, with the credit that it has of each; see `answer.attribute`.

    Columns in: `said` as `read` gives it; `inferences` those of `keyed`.
    Columns out: inference_id, event_id, event_time, value, reward, op, supersedes, query_id,
    solicit_prob, credit, PLACE of the answer, and what the rule needs besides (`outcomes.needed`).
    """
    level = question.level
    if level.shared:
        return _shared(said, first_by(inferences, "inference_id"), question)
    if level.event_key is None:
        reached = said.withColumnRenamed("target", "inference_id")
    else:
        named = first_by(inferences, "inference_id").select("target", "inference_id", "shown")
        reached = said.join(named, "target")
    if level.by_candidate:
        reached = reached.where(F.array_contains("shown", F.col("candidate_id")))
    return reached.select("inference_id", *_said(question), F.lit(WHOLE).alias("credit"), *PLACE)


def by_request(answers: DataFrame, requests: DataFrame) -> DataFrame:
    """`answers` with the probability of the request that they name, if it was of their inference.

    Columns in: `answers` as `attribute` gives it; `requests` query_id, inference_id and
    inclusion_prob. Columns out: those of `answers`.
    """
    told = requests.select("query_id", "inference_id", F.col("inclusion_prob").alias("_asked"))
    joined = answers.join(told, ["query_id", "inference_id"], "left")
    return joined.withColumn("solicit_prob", F.coalesce("_asked", "solicit_prob")).select(
        *answers.columns
    )


def keyed(inferences: DataFrame, question: Question) -> DataFrame:
    """What attribution needs of inferences: inference_id, response_time, target, shown, PLACE."""
    shown = F.lit(None).cast("array<string>")
    if question.level.by_candidate:
        listed = F.col("candidates")["candidate_id"]
        shown = F.when(F.col("shown_candidate_id").isNull(), listed).otherwise(
            F.array("shown_candidate_id")
        )
    key = F.col(question.level.key)
    return inferences.select(
        "inference_id", "response_time", key.alias("target"), shown.alias("shown"), *PLACE
    )


def moved(said: DataFrame, inferences: DataFrame, batch_id: int) -> DataFrame:
    """The inferences whose share of an answer may have changed in a batch: inference_id.

    One that lands late, or the first of a chain of revisions that does, divides anew.
    """
    news = (frame.where(F.col("batch_id") == batch_id) for frame in (said, inferences))
    keys = reduce(DataFrame.union, (frame.select("target") for frame in news)).distinct()
    return inferences.join(keys, "target", "left_semi").select("inference_id").distinct()


def _shared(said: DataFrame, inferences: DataFrame, question: Question) -> DataFrame:
    if question.credit is None:
        raise ValueError("an answer that is shared needs a rule of credit")
    pairs = _begun(said).join(
        inferences.select("target", "inference_id", "response_time"), "target"
    )
    lag = F.col("_begun") - F.col("response_time")
    near = (lag >= F.lit(timedelta(0))) & (lag <= F.lit(question.rule.window))
    sharing = Window.partitionBy(*PLACE, "target")
    among = pairs.where(near)
    if question.level.gap is not None:
        among = _since_pause(among, sharing, question.level.gap)
    scored = _standing(among, sharing).withColumn("_score", question.credit.score(Columns()))
    # A sum of doubles depends on its order, and the ledger must not.
    everyone = _ordered(sharing).rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    share = F.col("_score") / F.sum("_score").over(everyone)
    return (
        scored.withColumn("credit", share)
        .where(F.col("credit") > 0)
        .select("inference_id", *_said(question), "credit", *PLACE)
    )


def _since_pause(pairs: DataFrame, sharing: WindowSpec, gap: timedelta) -> DataFrame:
    """The inferences after the last pause longer than `gap`; one just before the answer is one."""
    following = F.coalesce(F.lead("response_time").over(_ordered(sharing)), "_begun")
    pause = following - F.col("response_time") > F.lit(gap)
    onward = _ordered(sharing).rowsBetween(Window.currentRow, Window.unboundedFollowing)
    paused = F.bool_or("_pause").over(onward)
    told = pairs.withColumn("_pause", pause).withColumn("_paused", paused)
    return told.where(~F.col("_paused"))


def _said(question: Question) -> tuple[str, ...]:
    return (*_SAID, *needed(question.rule))


def _millionths(weight: Column) -> Column:
    return F.floor(weight * WHOLE_WEIGHT + F.lit(0.5)).alias("weight")


def _ordered(sharing: WindowSpec) -> WindowSpec:
    return sharing.orderBy("response_time", "inference_id")


def _standing(pairs: DataFrame, sharing: WindowSpec) -> DataFrame:
    """Where each inference stands among those that share its answer."""
    ordered, all_of_them = F.row_number().over(_ordered(sharing)), F.count(F.lit(1)).over(sharing)
    last = F.max("response_time").over(sharing)
    behind = F.unix_micros(last) - F.unix_micros("response_time")
    return pairs.select(
        "*",
        (ordered - 1).alias(FROM_FIRST),
        (all_of_them - ordered).alias(FROM_LAST),
        (behind / F.lit(_PER_SECOND)).alias(BEHIND),
    )


def _begun(said: DataFrame) -> DataFrame:
    """Each event of a target once, as it first arrived, and when what it revises was said."""
    named = F.struct("target", "event_id")
    first = first_by(said.withColumn("_named", named), "_named").drop("_named")
    step = F.struct("event_id", "event_time").alias("_step")
    earlier = first.select("target", F.col("event_id").alias("supersedes"), step)
    links = (
        first.select("target", "event_id", "supersedes")
        .join(earlier, ["target", "supersedes"])
        .groupBy("target")
        .agg(F.map_from_entries(F.collect_list(F.struct("event_id", "_step"))).alias("_links"))
    )
    own = F.struct("event_id", "event_time")
    joined = first.join(links, "target", "left").withColumn("_own", own)
    return joined.withColumn("_begun", _followed()["event_time"]).drop("_links", "_own")


def _followed() -> Column:
    """The first of the chain of revisions that an event is the last of, as far as it is known."""
    steps = F.array_repeat(F.lit(0), MAX_REVISIONS)
    chain = F.aggregate(
        steps, F.col("_own"), lambda at, _: F.coalesce(F.col("_links")[at["event_id"]], at)
    )
    revises = F.col("_links").isNotNull() & F.col("supersedes").isNotNull()
    return F.when(revises, chain).otherwise(F.col("_own"))
