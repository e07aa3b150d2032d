"""The ledger of outcomes: one row for each change of what is known of an inference. Pure.

An answer counts if it happened in the window, `0 <= event_time - response_time <= window`, and
landed before the window was closed. The window closes with the first batch whose watermark has
passed `response_time + window + grace`; an answer of a later batch is LATE. What happened outside
the window is OUTSIDE. Both are recorded, and change nothing that is known. An inference without a
row is not known yet while its window is open, and unknown after; it is negative only where the
loop says that silence means so, and not before the window is closed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from processor.feedback.polls import heard, polled
from processor.feedback.rule import (
    CREATE,
    DEFAULT,
    KNOWN_BY,
    LATE,
    NEGATIVE,
    NONE,
    ON_TIME,
    OUTSIDE,
    POSITIVE,
    RETRACT,
    RETRACTED,
    REWARDS,
    TIED,
    VALUE,
    WHOLE,
    Rule,
)
from processor.tables import COORDINATES

SERVED = ("model_name", "model_version", "deployment_id", "variant")
"""What a row of the ledger says of the model that really served."""

PLACE = ("batch_id", "landed", *COORDINATES)
"""The order of arrival: when an event became known, then where it stands in the log."""

KNOWN = ("state", "value", "reward", "credit", "solicit_prob")
"""What a row of the ledger says is known; `solicit_prob` is of the answer that counts."""

FIRST_BATCH = 1
"""In it everything is news."""

VOTE = ("rater", "weight")
"""What an answer says of who gave it, where raters are told apart: a name, and millionths."""

VOICE = "voice"
"""What near-duplicates share, where they are no answers."""


def first_by(frame: DataFrame, key: str) -> DataFrame:
    """One row for each `key`: the first by batch, topic, partition, offset."""
    columns = [F.col(name) for name in frame.columns if name not in (*PLACE, key)]
    packed = F.struct(*(F.col(name) for name in PLACE), *columns)
    # Structs are aggregated in order of their key: sorted once, where they are brought together.
    together = frame.repartition(key).groupBy(key)
    first = together.agg(F.min_by(packed, F.struct(*PLACE)).alias("_first"))
    return first.select(key, "_first.*")


@dataclass(frozen=True)
class Now:
    """The batch asked about, its watermark, and that of the one before; None before any."""

    batch_id: int
    mark: datetime | None
    before: datetime | None


def changes(
    inferences: DataFrame,
    answers: DataFrame,
    known: DataFrame,
    marks: DataFrame,
    now: Now,
    rule: Rule,
    moved: DataFrame | None = None,
) -> DataFrame:
    """What the batch `now` adds to the ledger: outcomes that it changed.

    Columns in: `inferences` inference_id, SERVED, response_time, and PLACE; `answers`
    inference_id, event_id, event_time, value, reward, op, supersedes, credit, solicit_prob, PLACE,
    and those of `needed`; `known`
    inference_id, batch_id, timing, and KNOWN: the ledger so far; `marks`
    batch_id, before: for each batch up to now, the watermark of the one before it. No frame has
    rows of a later batch. `moved` inference_id: those whose share of an answer may have changed
    in this batch; one that has lost all of it is RETRACTED.
    Columns out: inference_id, SERVED, response_time, state, timing, value, reward, credit,
    solicit_prob, answered_at, origins.
    """
    if now.batch_id > FIRST_BATCH:
        touched = _touched(inferences, answers, now, rule)
        if moved is not None:
            touched = touched.union(moved).distinct()
        inferences, answers = (
            frame.join(touched, "inference_id", "left_semi") for frame in (inferences, answers)
        )
    judged = (
        first_by(inferences, "inference_id")
        .join(_by_inference(answers, marks, rule), "inference_id", "left")
        .join(_last_known(known), "inference_id", "left")
        .withColumn("answers", _timed(rule))
    )
    return _rows(judged, now, rule)


def votes(inferences: DataFrame, answers: DataFrame, marks: DataFrame, rule: Rule) -> DataFrame:
    """What each rater says of an inference, on time and as it stands; the rule is a poll.

    Columns in: as `changes` has them. Columns out: inference_id, response_time, and votes, an
    array of structs with rater, value, reward and batch_id; none where nobody says anything.
    """
    judged = first_by(inferences, "inference_id").join(
        _by_inference(answers, marks, rule), "inference_id"
    )
    timed = judged.withColumn("answers", _timed(rule))
    told = heard(timed.withColumn("_standing", _standing(_apart(_of(ON_TIME), rule.near), rule)))
    said = F.filter("_heard", lambda a: a["op"] != RETRACT)
    found = told.select("inference_id", "response_time", said.alias("votes"))
    return found.where(F.size("votes") > 0)


def _each(
    answers: Column, told: Callable[[Column], Column], several: Column | None = None
) -> Column:
    """What is told of each answer, as `transform` says it; of `several` where there is not one.

    Most inferences have one answer, and Spark compiles no function of arrays.
    """
    others = answers if several is None else several
    return F.when(F.size(answers) == 1, F.array(told(answers[0]))).otherwise(
        F.transform(others, told)
    )


def _closes(rule: Rule) -> Column:
    return F.col("response_time") + F.lit(rule.patience)


def _touched(inferences: DataFrame, answers: DataFrame, now: Now, rule: Rule) -> DataFrame:
    """The inferences this batch has news of: new ones, answered ones, and ones that it closes."""
    news = (frame.where(F.col("batch_id") == now.batch_id) for frame in (inferences, answers))
    ids = reduce(DataFrame.union, (frame.select("inference_id") for frame in news))
    if rule.silence is not None and now.mark is not None:
        closes = _closes(rule)
        still_open = F.lit(True) if now.before is None else closes > F.lit(now.before)
        closing = inferences.where(still_open & (closes <= F.lit(now.mark)))
        ids = ids.union(closing.select("inference_id"))
    return ids.distinct()


def _by_inference(answers: DataFrame, marks: DataFrame, rule: Rule) -> DataFrame:
    """All answers of an inference in one array, in order of arrival, each event id once."""
    fields = (*PLACE, "event_id", "event_time", *_SAID, *needed(rule), "supersedes", "before")
    # A window sorts once, and collects in that order; an aggregate of arrays sorts before it brings
    # them together, and after.
    arrived = Window.partitionBy("inference_id").orderBy(*PLACE)
    whole = arrived.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    told = answers.join(F.broadcast(marks), "batch_id").select("inference_id", *fields)
    return (
        told.select(
            "inference_id",
            F.row_number().over(arrived).alias("_place"),
            F.collect_list(F.struct(*fields)).over(whole).alias("_all"),
        )
        .where(F.col("_place") == 1)
        .withColumn("_ids", F.expr("if(size(_all) > 1, transform(_all, a -> a.event_id), null)"))
        .select("inference_id", F.expr(_EACH_ONCE).alias("_a"))
    )


_EACH_ONCE = (
    "if(_ids is null, _all, filter(_all, (a, i) -> array_position(_ids, a.event_id) = i + 1))"
)


def _last_known(known: DataFrame) -> DataFrame:
    """What the ledger says so far."""
    said = known.where(F.col("timing").isin(*KNOWN_BY))
    last = F.max_by(F.struct(*_WAS), F.col("batch_id"))
    return said.groupBy("inference_id").agg(last.alias("_was"))


def _timed(rule: Rule) -> Column:
    """The answers, each with its timing."""
    closes = _closes(rule)

    def timing(answer: Column) -> Column:
        lag = answer["event_time"] - F.col("response_time")
        inside = (lag >= F.lit(timedelta(0))) & (lag <= F.lit(rule.window))
        late = F.coalesce(answer["before"] >= closes, F.lit(False))
        return F.when(~inside, OUTSIDE).when(late, LATE).otherwise(ON_TIME)

    return _each(F.col("_a"), lambda a: a.withField("timing", timing(a)))


def _of(timing: str) -> Column:
    return F.filter(F.col("answers"), lambda a: a["timing"] == timing)


def needed(rule: Rule) -> tuple[str, ...]:
    """What a rule needs of answers besides what they say."""
    vote = () if rule.poll is None else VOTE
    return vote if rule.near is None else (*vote, VOICE)


def _weighed(said: DataFrame, rule: Rule) -> DataFrame:
    """`said` with `_w`: the last answer that stands, or what a poll comes to; null for nothing."""
    standing = _standing(_apart(F.col("used"), rule.near), rule)
    if rule.poll is None:
        # A generator, which no filter of `_w` is pushed below: a filter there would work it out
        # again for each of its words.
        return said.select("*", F.explode(F.array(F.array_max(standing))).alias("_w"))
    return polled(said.withColumn("_standing", standing), rule)


def _apart(answers: Column, near: timedelta | None) -> Column:
    """Those before which the same source said nothing of the same within `near`.

    One that revises another is never left out, nor a reason to leave one out.
    """
    if near is None:
        return answers
    order = ("event_time", *PLACE)

    def place(answer: Column) -> Column:
        return F.struct(*(answer[name].alias(name) for name in order))

    def repeats(one: Column, other: Column) -> Column:
        created = (one["op"] == CREATE) & (other["op"] == CREATE)
        soon = one["event_time"] - other["event_time"] <= F.lit(near)
        return created & (one[VOICE] == other[VOICE]) & soon & (place(other) < place(one))

    def first(one: Column) -> Column:
        return ~F.coalesce(F.exists(answers, lambda other: repeats(one, other)), F.lit(False))

    return F.when(F.size(answers) > 1, F.filter(answers, first)).otherwise(answers)


def _standing(answers: Column, rule: Rule) -> Column:
    """The answers that none supersedes, as structs that sort as they happened.

    One alone stands. Where each supersedes another, in a circle, all are refused: each counts as a
    retraction.
    """
    superseded = F.transform(answers, lambda a: a["supersedes"])
    live = F.filter(
        answers, lambda a: ~F.coalesce(F.array_contains(superseded, a["event_id"]), F.lit(False))
    )
    each_supersedes = F.forall(answers, lambda a: a["supersedes"].isNotNull())
    refused = F.transform(answers, lambda a: a.withField("op", F.lit(RETRACT)))
    standing = F.when(each_supersedes & (F.size(live) == 0), refused).otherwise(live)
    order = ("event_time", *PLACE, "event_id", *_SAID, *needed(rule))
    return _each(answers, lambda a: F.struct(*(a[n].alias(n) for n in order)), standing)


def _state(answer: Column, rule: Rule) -> Column:
    nothing = F.when(answer["op"] == RETRACT, RETRACTED).when(answer["op"] == TIED, TIED)
    if rule.positive is None:
        return nothing.otherwise(VALUE)
    return nothing.when(answer["value"] == rule.positive, POSITIVE).otherwise(NEGATIVE)


def _rows(judged: DataFrame, now: Now, rule: Rule) -> DataFrame:
    """What is known now, where that changed; and what this batch brought amiss, by timing."""
    told = F.array(
        *(F.struct(F.lit(each).alias("timing"), _of(each).alias("used")) for each in _TIMINGS)
    )
    # Nearly every inference has one answer, on time, or none: two rows of three are not made.
    answers = F.col("answers")
    plain = answers.isNull() | ((F.size(answers) == 1) & (answers[0]["timing"] == ON_TIME))
    several = F.filter(told, lambda row: (row["timing"] == ON_TIME) | (F.size(row["used"]) > 0))
    on_time_alone = F.array(F.struct(F.lit(ON_TIME).alias("timing"), answers.alias("used")))
    some = F.when(plain, on_time_alone).otherwise(several)
    said = judged.select(*_KEPT, F.inline(some)).withColumn("used", _fresh(now))
    weighed = _weighed(said, rule)
    closed = _closes(rule) <= F.lit(now.mark)
    on_time, answered = F.col("timing") == ON_TIME, F.col("_w").isNotNull()
    silent = on_time & ~answered & closed & F.lit(rule.silence is not None)
    lost = on_time & ~answered & F.col("_was").isNotNull()
    state = F.when(answered, _state(F.col("_w"), rule)).when(silent, NEGATIVE).when(lost, RETRACTED)
    found = weighed.withColumn("state", state).where(F.col("state").isNotNull())
    return (
        found.withColumn("value", _value(silent, rule))
        .withColumn("reward", _reward())
        .withColumn("credit", _credit(silent))
        .withColumn("solicit_prob", F.col("_w")["solicit_prob"])
        .withColumn("timing", F.when(silent, DEFAULT).otherwise(F.col("timing")))
        .where(~(F.col("timing").isin(*KNOWN_BY) & _unchanged()))
        .select(
            *("inference_id", *SERVED, "response_time"),
            *("timing", *KNOWN),
            F.col("_w")["event_time"].alias("answered_at"),
            _origins().alias("origins"),
        )
    )


def _value(silent: Column, rule: Rule) -> Column:
    answer = F.col("_w")
    said = F.when(answer["op"] != RETRACT, answer["value"])
    return F.when(silent, F.lit(rule.silence)).otherwise(said)


def _reward() -> Column:
    """An answer's own reward; that of the state where it has none."""
    state = F.col("state")
    worths = (F.when(state == each, worth) for each, worth in REWARDS.items())
    return F.when(state != RETRACTED, F.coalesce(F.col("_w")["reward"], *worths))


def _credit(silent: Column) -> Column:
    lost = F.when(silent, F.lit(WHOLE)).otherwise(F.lit(NONE))
    return F.when(F.col("_w").isNotNull(), F.col("_w")["credit"]).otherwise(lost)


def _unchanged() -> Column:
    """Whether the ledger says the same already."""
    same = (F.col("_was")[name].eqNullSafe(F.col(name)) for name in _WAS)
    return reduce(Column.__and__, same)


def _fresh(now: Now) -> Column:
    """The answers that a row weighs: all on time, or those amiss that the batch has news of."""
    new = F.filter(
        F.col("used"),
        lambda a: F.greatest(a["batch_id"], F.col("batch_id")) == now.batch_id,
    )
    return F.when(F.col("timing") == ON_TIME, F.col("used")).otherwise(new)


def _origins() -> Column:
    """Where a row comes from: the inference, then every answer that was weighed."""
    own = F.array(_origin(F.col))
    theirs = _each(F.col("used"), lambda a: _origin(a.getField))
    return F.concat(own, F.coalesce(theirs, F.array().cast(_ORIGINS)))


def _origin(field: Callable[[str], Column]) -> Column:
    place = (field(name).alias(name) for name in COORDINATES)
    return F.struct(field("landed").alias("batch_id"), *place)


_TIMINGS = (ON_TIME, LATE, OUTSIDE)
_SAID = ("value", "op", "reward", "credit", "solicit_prob")
_WAS = ("timing", *KNOWN)
_KEPT = (
    *("inference_id", *SERVED, "response_time"),
    *(*PLACE, "_was"),
)
_ORIGINS = "array<struct<batch_id:bigint,topic:string,partition:int,offset:bigint>>"
