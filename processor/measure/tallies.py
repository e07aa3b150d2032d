"""What is counted of each source of feedback, by Spark: mergeable from batch to batch. Pure."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from processor.loops import SourcesConfig
from processor.measure.arrivals import ARRIVAL
from processor.measure.sources.base import NANO, STAKES, Tally

TALLY = tuple(field.name for field in fields(Tally))
UNIT = ("metric", "target", "epoch")
"""What is compared: answers to one question about one thing, of one stretch of time."""

_PACE = ("answers", "timed", "fast", "minutes", "crowded")
_SHARES = (("match", "matched"), ("expected", "expected"))
_SUMS = ("compared", "matched", "expected", "sameness")
_MACHINES = ("LLM_JUDGE", "REWARD_MODEL", "RULE")
_EXACT = "decimal(38,18)"  # sums of these do not depend on the order of rows, as doubles' do
_MICROSECOND = timedelta(microseconds=1)


def is_person() -> Column:
    """Whether an event of feedback comes from one person, as far as it says."""
    named = F.coalesce(F.nullif("rater_id", F.lit("")), F.nullif("client_hash", F.lit("")))
    return named.isNotNull() & ~F.col("rater_kind").isin(*_MACHINES)


def epoch(span: timedelta) -> Column:
    """The stretch of time that an event happened in, counted from 1970."""
    return F.floor(F.unix_micros("event_time") / F.lit(span // _MICROSECOND))


def paces(said: DataFrame, batch_id: int, told: SourcesConfig) -> DataFrame:
    """How much each source said in the batch, and how fast: source, and the first of `TALLY`.

    Columns in: source, person, reaction_ms, event_id, event_time, ARRIVAL. An event that was sent
    twice counts once.
    """
    again = F.row_number().over(Window.partitionBy("event_id").orderBy(*ARRIVAL)) > 1
    new = said.withColumn("_again", again).where(~F.col("_again") & _new(batch_id))
    timed = F.when(F.col("person"), F.col("reaction_ms"))
    minutes = new.groupBy("source", F.date_trunc("minute", "event_time")).agg(
        F.count(F.lit(1)).alias("_said"),
        F.count_if("person").alias("_persons"),
        F.count(timed).alias("timed"),
        F.count_if(timed < told.reaction_ms).alias("fast"),
    )
    return minutes.groupBy("source").agg(
        F.sum("_said").alias("answers"),
        F.sum("timed").alias("timed"),
        F.sum("fast").alias("fast"),
        F.count_if(F.col("_persons") > 0).alias("minutes"),
        F.count_if(F.col("_persons") > told.per_minute).alias("crowded"),
    )


def matches(said: DataFrame, batch_id: int, told: SourcesConfig) -> DataFrame:
    """Each answer that is compared in the batch: source, value, match, expected, chance.

    Columns in: UNIT, source, event_time, value (null says nothing), retracts, ARRIVAL. A source's
    answer to a unit is its last; it is compared once, in the first batch as of which it is there
    and `raters` sources have answered. `match` is 1 for the value that most others gave, 1 / k
    where k values are tied, else 0; `expected` is the mean of that over all who answered the unit;
    `chance` is the share of them that gave this value.
    """
    unit = Window.partitionBy(*UNIT)
    place = F.struct("event_time", *ARRIVAL)
    last = F.max_by(F.when(~F.col("retracts"), F.col("value")), place)
    answered = said.groupBy(*UNIT, "source").agg(
        F.min("batch_id").alias("_first"), last.alias("value")
    )
    before = F.count_if(F.col("_first") < batch_id).over(unit)
    due = (F.col("_first") == batch_id) | (before < told.raters)
    enough = F.count(F.lit(1)).over(unit) >= told.raters
    rated = answered.withColumn("_due", due & enough).where(F.col("value").isNotNull())
    matched = _matched(rated).withColumn("expected", _mean("match", unit))
    wanted = F.col("_due") & (F.col("_raters") > 1)
    share = F.col("_own") / F.col("_raters")
    return matched.where(wanted).select(
        "source", "value", "match", "expected", share.alias("chance")
    )


def _new(batch_id: int) -> Column:
    return F.col("batch_id") == batch_id


def _mean(name: str, over: object) -> Column:
    total = F.sum(F.col(name).cast(_EXACT)).over(over)  # type: ignore[arg-type]  # a window
    return total.cast("double") / F.col("_raters")


def _matched(rated: DataFrame) -> DataFrame:
    """The match of each answer with the majority of the others."""
    unit, value = Window.partitionBy(*UNIT), Window.partitionBy(*UNIT, "value")
    one = F.row_number().over(value.orderBy("source")) == 1
    counted = rated.select(
        "*",
        F.count(F.lit(1)).over(unit).alias("_raters"),
        F.count(F.lit(1)).over(value).alias("_own"),
        one.alias("_one"),
    )
    topped = counted.withColumn("_top", F.max("_own").over(unit))
    is_top = F.col("_own") == F.col("_top")
    next_top = F.max(F.when(~is_top, F.col("_own"))).over(unit)
    tops = F.count_if(F.col("_one") & is_top).over(unit)
    ranked = topped.select(
        "*", tops.alias("_tops"), F.coalesce(next_top, F.lit(0)).alias("_next")
    ).withColumn("_nexts", F.count_if(F.col("_one") & (F.col("_own") == F.col("_next"))).over(unit))
    alone = is_top & (F.col("_tops") == 1)
    rival = F.when(alone, F.col("_next")).otherwise(F.col("_top"))
    rivals = F.when(alone, F.col("_nexts")).otherwise(F.col("_tops") - is_top.cast("int"))
    others = F.col("_own") - 1  # besides itself, who gave its value
    match = F.when(others > rival, 1.0).when(others == rival, 1 / (rivals + 1)).otherwise(0.0)
    return ranked.withColumn("match", match)


def compared(found: DataFrame, told: SourcesConfig) -> DataFrame:
    """What the answers of a source come to: source, and the rest of `TALLY`.

    Columns in as `matches` gives them.
    """
    dissent = F.lit(told.tolerance) * (1 - F.col("expected"))
    open_to_bets = (dissent > 0) & (dissent < 1)
    gains = (1 - F.lit(s) + F.lit(s) * (1 - F.col("match")) / dissent for s in STAKES)
    bets = [_nano(F.when(open_to_bets, F.log(gain)).otherwise(0.0)) for gain in gains]
    alike = _nano(-F.log(1 - (1 - F.col("chance")) / F.lit(told.tolerance)))
    same = F.min("value") == F.max("value")
    return found.groupBy("source").agg(
        F.count(F.lit(1)).alias("compared"),
        *((F.sum(_nano(F.col(n))) / NANO).alias(as_) for n, as_ in _SHARES),
        F.array(*(F.sum(each) for each in bets)).alias("bets"),
        F.when(same, F.min("value")).alias("only"),
        F.sum(alike).alias("sameness"),
        F.max(alike).alias("most"),
    )


def _nano(number: Column) -> Column:
    return F.floor(number * F.lit(NANO))


def merged(before: DataFrame, pace: DataFrame, comparison: DataFrame) -> DataFrame:
    """The tallies so far with those of a batch: source, `TALLY`, active.

    `before` has source, `TALLY`; `active` says that the batch has news of the source.
    """
    mine = pace.join(comparison, "source", "full")
    names = [F.col(name).alias(f"_{name}") for name in TALLY]
    known = before.select("source", *names, F.lit(True).alias("_known"))
    both = mine.withColumn("active", F.lit(True)).join(known, "source", "full")
    sums = (_plus(name).alias(name) for name in (*_PACE, *_SUMS))
    none = F.array(*(F.lit(0).cast("bigint") for _ in STAKES))
    pairs = F.zip_with(
        F.coalesce("_bets", none), F.coalesce("bets", none), lambda one, other: one + other
    )
    return both.select(
        "source",
        *sums,
        pairs.alias("bets"),
        _only().alias("only"),
        F.greatest(_or_0("_most"), _or_0("most")).alias("most"),
        F.coalesce("active", F.lit(False)).alias("active"),
    )


def _or_0(name: str) -> Column:
    return F.coalesce(name, F.lit(0))


def _plus(name: str) -> Column:
    return _or_0(f"_{name}") + _or_0(name)


def _only() -> Column:
    """The one value there ever was; null where there were none, or several."""
    news, olds = _or_0("compared") > 0, _or_0("_compared") > 0
    same = F.when(F.col("only") == F.col("_only"), F.col("only"))
    return F.when(news & olds, same).when(news, F.col("only")).when(olds, F.col("_only"))


def union(frames: list[DataFrame]) -> DataFrame:
    """All of them."""
    return reduce(DataFrame.unionByName, frames)
