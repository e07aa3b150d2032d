"""What the answers of several raters come to, of many inferences at once. Pure.

The same as `processor.feedback.poll` says of one.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from processor.feedback.rule import RETRACT, TIED, Rule

_STEPS = ("_standing", "_newest", "_heard", "_votes", "_weights", "_leaders")


def polled(frame: DataFrame, rule: Rule) -> DataFrame:
    """`frame` with the answer `_w` that each poll comes to: see `poll.polled`; null for nobody's.

    Columns in: `_standing`, an array of answers as structs that sort as they happened, with op,
    value, reward, rater and weight; it is dropped.
    """
    # Each step is a column, and the last a generator, which no filter of `_w` is pushed below:
    # put into one another, the steps would be worked out a thousand times.
    steps = heard(frame)
    steps = steps.withColumn("_votes", F.filter("_heard", lambda a: a["op"] != RETRACT))
    steps = steps.withColumn("_weights", _weights(F.col("_votes")))
    steps = steps.withColumn("_leaders", _leaders(F.col("_weights")))
    told = steps.select("*", F.explode(F.array(_verdict(rule))).alias("_w"))
    return told.drop(*_STEPS)


def heard(frame: DataFrame) -> DataFrame:
    """`frame` with `_heard`: of each rater who has a weight the last of `_standing`, newest first.

    An answer of a rater without a name stands for itself.
    """
    newest = frame.withColumn("_newest", F.sort_array("_standing", asc=False))
    raters = F.transform("_newest", lambda a: a["rater"])

    def is_heard(answer: Column, place: Column) -> Column:
        first = F.array_position(raters, answer["rater"]) == place + 1
        counts = (answer["op"] == RETRACT) | (answer["weight"] > 0)
        return F.coalesce(first, F.lit(True)) & counts

    return newest.withColumn("_heard", F.filter("_newest", is_heard))


def _weights(votes: Column) -> Column:
    """Each value that was given, behind the sum of its weights."""

    def weight(value: Column) -> Column:
        given = F.filter(votes, lambda vote: vote["value"] == value)
        return F.aggregate(given, F.lit(0).cast("long"), lambda sum_, v: sum_ + v["weight"])

    values = F.array_distinct(F.transform(votes, lambda vote: vote["value"]))
    return F.transform(values, lambda v: F.struct(weight(v).alias("weight"), v.alias("value")))


def _leaders(weights: Column) -> Column:
    most = F.array_max(weights)["weight"]
    leading = F.filter(weights, lambda each: each["weight"] == most)
    return F.transform(leading, lambda each: each["value"])


def _verdict(rule: Rule) -> Column:
    voices, votes = F.col("_heard"), F.col("_votes")
    tie = rule.poll.tie if rule.poll else None
    won = _favoured(F.col("_leaders"), rule)
    carried = F.filter(votes, lambda vote: F.array_contains(won, vote["value"]))
    decided = F.lit(True) if tie == "last" else F.size(won) == 1
    spoken = F.when(decided, F.get(carried, F.lit(0))).otherwise(_tied(F.get(votes, F.lit(0))))
    # An array that is not there has no size, and meets no condition.
    return F.when(F.size(votes) > 0, spoken).when(F.size(voices) > 0, F.get(voices, F.lit(0)))


def _favoured(leading: Column, rule: Rule) -> Column:
    """Those of several that the rule prefers."""
    tie = rule.poll.tie if rule.poll else None
    if tie not in ("positive", "negative"):
        return leading
    is_sought = F.lit(tie == "positive")
    sought = F.filter(leading, lambda value: (value == F.lit(rule.positive)) == is_sought)
    return F.when(F.size(leading) == 1, leading).otherwise(sought)


def _tied(vote: Column) -> Column:
    """The last vote, as no answer at all."""
    said = vote.withField("op", F.lit(TIED)).withField("value", F.lit(None).cast("string"))
    return said.withField("reward", F.lit(None).cast("double"))
