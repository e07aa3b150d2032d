"""What the answers of a batch are like, beside each other and those before: counts by Spark. Pure.

Said twice, said nearly twice, about nothing that is known, in bursts, and without a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from processor.loops import ArrivalsConfig, LoopConfig
from processor.measure.intervals import wilson
from processor.measurements import OVERALL, Measurement
from processor.tables import COORDINATES

ARRIVAL = ("batch_id", "landed", *COORDINATES)
"""The order in which events became known."""

TARGETS = ("inference_id", "session_id", "episode_id", "request_id")
"""What an answer can be about, as inferences name it."""

SUBJECT = "subject_key"
"""What it is about where sessions have no names."""

_LEVELS = {
    "INFERENCE": "inference_id",
    "CANDIDATE": "inference_id",
    "SESSION": "session_id",
    "EPISODE": "episode_id",
}


class Counts(NamedTuple):
    """Of the events of a batch: each name, and how many events could have been such a one."""

    duplicate: int
    duplicate_of: int
    near_duplicate: int
    near_duplicate_of: int
    orphan: int
    orphan_of: int
    burst: int
    burst_of: int
    blank: int
    blank_of: int


KINDS = ("duplicate", "near_duplicate", "orphan", "burst", "blank")


def source_of(table: str) -> Column:
    """Who says what an event says: its rater, else its client, else the service that sent it."""
    service = _named("source", F.col("source"))
    if table != "feedback":
        return service
    return F.coalesce(
        _named("rater", F.col("rater_id")), _named("client", F.col("client_hash")), service
    )


def about(table: str, by_subject: Column | None = None) -> Column:
    """What an event is about, as `targets` names it; null where it does not say.

    `by_subject` says whether it is about what its subject was answered.
    """
    if by_subject is not None:
        return F.when(by_subject, _named(SUBJECT, F.col(SUBJECT))).otherwise(about(table))
    if table == "feedback":
        asked = (F.when(F.col("level") == k, _named(v, F.col(v))) for k, v in _LEVELS.items())
        step = (_named(name, F.col(name)) for name in ("inference_id", "episode_id"))
        return F.coalesce(*asked, F.when(F.col("level") == "STEP", F.coalesce(*step)))
    request = _named("request_id", F.col("entity_key"))
    return F.coalesce(_named("inference_id", F.col("inference_id")), request)


def targets(inferences: DataFrame, names: tuple[str, ...] = TARGETS) -> DataFrame:
    """Everything that an answer can be about: column about, each once."""
    named = F.array(*(_named(name, F.col(name)) for name in names))
    return inferences.select(F.explode(F.array_compact(named)).alias("about")).distinct()


def _named(kind: str, name: Column) -> Column:
    return F.when(name != "", F.concat(F.lit(f"{kind}:"), name))


def counted(events: DataFrame, known: DataFrame, batch_id: int, told: ArrivalsConfig) -> DataFrame:
    """One row of `Counts` for the batch, whose events are held against all of `events`.

    Columns in: `events` event_id, event_time, metric, created (it does not revise another),
    recent (its target is among `known`, if there is one), asked and blank (as a question of the
    loop has it), source, about, part (of what it is about), and ARRIVAL, of batches up to this
    one; `known` as `targets` gives it.
    """
    said = events.withColumn("_again", _is_again())
    new = F.col("batch_id") == batch_id
    found = known.withColumn("_found", F.lit(True))
    judged = said.withColumn("_near", _is_near(told)).where(new).join(found, "about", "left")
    first = ~F.col("_again")
    created = first & F.col("created")
    named = first & F.col("recent") & F.col("about").isNotNull()
    counts = judged.agg(
        *_pair("duplicate", F.col("_again"), of=F.lit(True)),
        *_pair("near_duplicate", F.col("_near"), of=created),
        *_pair("orphan", F.col("_found").isNull(), of=named),
        *_pair("blank", F.col("blank"), of=first & F.col("asked")),
    )
    return counts.crossJoin(_bursts(said.where(first), new, told)).select(*Counts._fields)


def _pair(name: str, hit: Column, *, of: Column) -> tuple[Column, Column]:
    """How many of some events are such ones, and how many they are."""
    return F.count_if(of & hit).alias(name), F.count_if(of).alias(f"{name}_of")


def _is_again() -> Column:
    """Whether an event was said before under its id."""
    return F.row_number().over(Window.partitionBy("event_id").orderBy(*ARRIVAL)) > 1


def _is_near(told: ArrivalsConfig) -> Column:
    """Whether the same source said something of the same shortly before; repeats do not count."""
    of_one = Window.partitionBy("_again", "created", "source", "about", "part", "metric")
    before = F.lag("event_time").over(of_one.orderBy("event_time", *ARRIVAL))
    near = F.col("about").isNotNull() & (F.col("event_time") - before <= F.lit(told.near))
    return F.coalesce(near, F.lit(False))


def _bursts(events: DataFrame, new: Column, told: ArrivalsConfig) -> DataFrame:
    """How many events of the batch are in minutes that are bursts of their source."""
    minutes = events.groupBy("source", F.date_trunc("minute", "event_time").alias("_minute")).agg(
        F.count(F.lit(1)).alias("_said"), F.count_if(new).alias("_new")
    )
    usual = F.median("_said").over(Window.partitionBy("source"))
    judged = minutes.withColumn("_usual", usual)
    burst = (F.col("_said") > told.burst_events) & (
        F.col("_said") > F.col("_usual") * F.lit(told.burst_factor)
    )
    said = F.sum(F.when(burst, F.col("_new")).otherwise(0))
    nothing = F.lit(0)
    return judged.agg(
        F.coalesce(said, nothing).alias("burst"),
        F.coalesce(F.sum("_new"), nothing).alias("burst_of"),
    )


def rates(loop: LoopConfig, table: str, found: Counts) -> Iterator[Measurement]:
    """Each share, with its 95 % interval; none where no event could have been such a one."""
    for kind in KINDS:
        hits, n = getattr(found, kind), getattr(found, f"{kind}_of")
        if n == 0:
            continue
        low, high = wilson(hits, n)
        yield Measurement(
            loop=loop.loop,
            model_name=loop.model,
            model_version=OVERALL,
            metric=f"{table}.{kind}_rate",
            slice=OVERALL,
            window="batch",
            n=n,
            value=hits / n,
            ci_low=low,
            ci_high=high,
        )
