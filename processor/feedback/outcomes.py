"""The ledger of outcomes: one row for each change of what is known of an inference. Pure.

An answer counts if it happened in the window, `0 <= event_time - response_time <= window`, and
landed before the window was closed. The window closes with the first batch whose watermark has
passed `response_time + window + grace`; an answer of a later batch is LATE. What happened outside
the window is OUTSIDE. Both are recorded, and change nothing that is known. An inference without a
row is not known yet while its window is open, and unknown after; it is negative only where the
loop says that silence means so, and not before the window is closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

POSITIVE, NEGATIVE, RETRACTED = "POSITIVE", "NEGATIVE", "RETRACTED"
ON_TIME, LATE, OUTSIDE, DEFAULT = "ON_TIME", "LATE", "OUTSIDE", "DEFAULT"
KNOWN_BY = (ON_TIME, DEFAULT)
"""The timings of rows that say what is known; the others are records of what came amiss."""

_PLACE = ("batch_id", "topic", "partition", "offset")


@dataclass(frozen=True)
class Rule:
    """How answers become outcomes of one metric; `silence` is the value that none means."""

    metric: str
    window: timedelta
    grace: timedelta
    positive: str
    silence: str | None = None

    def closes(self, response_time: Column) -> Column:
        """When the window of an inference closes."""
        return response_time + F.lit(self.window + self.grace)


def first_by(frame: DataFrame, key: str) -> DataFrame:
    """One row for each `key`: the first by batch, topic, partition, offset."""
    columns = [F.col(name) for name in frame.columns if name not in (*_PLACE, key)]
    packed = F.struct(*(F.col(name) for name in _PLACE), *columns)
    first = frame.groupBy(key).agg(F.min_by(packed, F.struct(*_PLACE)).alias("_first"))
    return first.select(key, "_first.*")


def changes(
    inferences: DataFrame, answers: DataFrame, known: DataFrame, marks: DataFrame, rule: Rule
) -> DataFrame:
    """What the newest batch of `marks` adds to the ledger: outcomes that it changed.

    Columns in: `inferences` inference_id, model_name, model_version, response_time, and the
    place (batch_id, topic, partition, offset); `answers` inference_id, event_id, event_time,
    value, op, supersedes, and the place; `known` inference_id, batch_id, timing, state, value:
    the ledger so far; `marks` batch_id, mark (its watermark), before (that of the batch before).
    Columns out: inference_id, model_name, model_version, response_time, state, timing, value,
    answered_at, origins.
    """
    newest = marks.agg(F.max("batch_id").alias("now"), F.max_by("mark", "batch_id").alias("mark"))
    touched = _touched(inferences, answers, marks, newest, rule)
    judged = (
        first_by(inferences.join(touched, "inference_id", "left_semi"), "inference_id")
        .join(_by_inference(answers, touched, marks), "inference_id", "left")
        .join(_last_known(known), "inference_id", "left")
        .crossJoin(F.broadcast(newest))
        .withColumn("answers", _timed(rule))
    )
    said = _current(judged, rule).unionByName(_amiss(judged, rule))
    return said.drop("now")


def _touched(
    inferences: DataFrame, answers: DataFrame, marks: DataFrame, newest: DataFrame, rule: Rule
) -> DataFrame:
    """The inferences this batch has news of: new ones, answered ones, and ones that it closes."""
    now = F.broadcast(newest)
    arrived = inferences.join(now, F.col("batch_id") == F.col("now"), "left_semi")
    answered = answers.join(now, F.col("batch_id") == F.col("now"), "left_semi")
    ids = arrived.select("inference_id").union(answered.select("inference_id"))
    if rule.silence is not None:
        closes = rule.closes(F.col("response_time"))
        span = marks.join(now, F.col("batch_id") == F.col("now"), "left_semi")
        span = span.select(F.col("before").alias("_from"), F.col("mark").alias("_to"))
        opened = F.col("_from").isNull() | (closes > F.col("_from"))
        closing = inferences.join(F.broadcast(span), opened & (closes <= F.col("_to")), "left_semi")
        ids = ids.union(closing.select("inference_id"))
    return ids.distinct()


def _by_inference(answers: DataFrame, touched: DataFrame, marks: DataFrame) -> DataFrame:
    """All answers of an inference in one array, in order of arrival, each event id once."""
    fields = (*_PLACE, "event_id", "event_time", "value", "op", "supersedes", "before")
    return (
        answers.join(touched, "inference_id", "left_semi")
        .join(F.broadcast(marks.select("batch_id", "before")), "batch_id")
        .groupBy("inference_id")
        .agg(F.array_sort(F.collect_list(F.struct(*fields))).alias("_all"))
        .withColumn("_ids", F.expr("transform(_all, a -> a.event_id)"))
        .select(
            "inference_id",
            F.expr("filter(_all, (a, i) -> array_position(_ids, a.event_id) = i + 1)").alias("_a"),
        )
    )


def _last_known(known: DataFrame) -> DataFrame:
    """What the ledger says so far."""
    said = known.where(F.col("timing").isin(*KNOWN_BY))
    last = F.max_by(F.struct("state", "value"), F.col("batch_id"))
    return said.groupBy("inference_id").agg(last.alias("_was"))


def _timed(rule: Rule) -> Column:
    """The answers, each with its timing."""
    closes = rule.closes(F.col("response_time"))

    def timing(answer: Column) -> Column:
        lag = answer["event_time"] - F.col("response_time")
        inside = (lag >= F.lit(timedelta(0))) & (lag <= F.lit(rule.window))
        late = F.coalesce(answer["before"] >= closes, F.lit(False))
        return F.when(~inside, OUTSIDE).when(late, LATE).otherwise(ON_TIME)

    return F.transform(F.col("_a"), lambda a: a.withField("timing", timing(a)))


def _of(timing: str) -> Column:
    return F.filter(F.col("answers"), lambda a: a["timing"] == timing)


def _winner(answers: Column) -> Column:
    """The answer that counts: of those that none supersedes, the last that happened.

    In a cycle each one is superseded, and none of them counts less than another.
    """
    superseded = F.transform(answers, lambda a: a["supersedes"])
    live = F.filter(
        answers, lambda a: ~F.coalesce(F.array_contains(superseded, a["event_id"]), F.lit(False))
    )
    standing = F.when(F.size(live) > 0, live).otherwise(answers)
    order = ("event_time", *_PLACE, "event_id", "value", "op")
    return F.array_max(F.transform(standing, lambda a: F.struct(*(a[n].alias(n) for n in order))))


def _state(answer: Column, rule: Rule) -> Column:
    return (
        F.when(answer["op"] == "RETRACT", RETRACTED)
        .when(answer["value"] == rule.positive, POSITIVE)
        .otherwise(NEGATIVE)
    )


def _current(judged: DataFrame, rule: Rule) -> DataFrame:
    """What is known now, where that is not what was known before."""
    chosen = judged.withColumn("_w", _winner(_of(ON_TIME)))
    answered = F.col("_w").isNotNull()
    closed = rule.closes(F.col("response_time")) <= F.col("mark")
    silent = ~answered & closed & F.lit(rule.silence is not None)
    state = F.when(answered, _state(F.col("_w"), rule)).when(silent, NEGATIVE)
    out = _row(chosen, state, F.when(answered, ON_TIME).otherwise(DEFAULT), _of(ON_TIME))
    out = out.withColumn("value", F.when(F.col("timing") == DEFAULT, F.lit(rule.silence)).otherwise(F.col("value")))
    was = F.col("_was")
    same = was["state"].eqNullSafe(F.col("state")) & was["value"].eqNullSafe(F.col("value"))
    return out.where(F.col("state").isNotNull() & ~same).drop("_was")


def _amiss(judged: DataFrame, rule: Rule) -> DataFrame:
    """One row for each inference and timing that this batch brought an answer amiss of."""
    amiss = judged.select("*", F.explode(F.array(F.lit(LATE), F.lit(OUTSIDE))).alias("_timing"))
    new = F.filter(
        F.col("answers"),
        lambda a: (a["timing"] == F.col("_timing"))
        & (F.greatest(a["batch_id"], F.col("batch_id")) == F.col("now")),
    )
    chosen = amiss.withColumn("_w", _winner(new)).where(F.col("_w").isNotNull())
    return _row(chosen, _state(F.col("_w"), rule), F.col("_timing"), new).drop("_was")


def _row(chosen: DataFrame, state: Column, timing: Column, used: Column) -> DataFrame:
    """A row of the ledger; its origins are the inference, then every answer that was weighed."""
    place = ("topic", "partition", "offset")
    own = F.array(F.struct(*(F.col(name) for name in place)))
    theirs = F.transform(used, lambda a: F.struct(*(a[name].alias(name) for name in place)))
    value = F.when(F.col("_w")["op"] != "RETRACT", F.col("_w")["value"])
    return chosen.select(
        "now",
        "_was",
        "inference_id",
        "model_name",
        "model_version",
        "response_time",
        state.alias("state"),
        timing.alias("timing"),
        value.alias("value"),
        F.col("_w")["event_time"].alias("answered_at"),
        F.concat(own, F.coalesce(theirs, F.array().cast(_ORIGINS))).alias("origins"),
    )


_ORIGINS = "array<struct<topic:string,partition:int,offset:bigint>>"
