"""Typed events as Spark's expressions: each follows from the number of its inference alone."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from benchmarks.ledger.world import DAY, METRIC, MODEL, SESSION, START, World
from processor.table import Table
from processor.tables import TYPED

MICROS = 1_000_000
ANSWERED = 0.8  # of the inferences
AGAIN = 0.25  # of those that are answered: a second event
SAME, CORRECTED = 0.1, 0.4  # of the second events: below it the same once more, a correction
SLOW = 0.01  # of the answers: reported days later
POSITIVE = 0.3  # of the labels
USUAL_DELAY_DAYS = 1.5  # the mean of an exponential: one answer in a hundred is beyond the window
NUMBERS = tuple(f"number_{letter}" for letter in "abcdefghij")
WORDS = ("red", "green", "blue", "a longer word", "two words")
TASKS, DAILY_TASKS = 8, 2  # that plant a commit, and so the most files that it has
_DRAWS = 1 << 31
_DAY, _MINUTE, _HOUR = (each * MICROS for each in (86_400, 60, 3600))


def inferences(spark: SparkSession, world: World, batch: int) -> DataFrame:
    """Those that land in a batch; one in a hundred up to six hours after its response."""
    numbers = _numbers(spark, world, batch)
    landed = F.col("at") + F.when(_draw("slow") < SLOW, _draw("way") * 6 * _HOUR).otherwise(
        _draw("way") * _MINUTE
    )
    rows = numbers.where(_batch(landed, world) == batch)
    hot = F.lit(world.hot) & (F.col("id") % 2 == 0)
    day = F.date_format(_time(F.col("at")), "yyyy-MM-dd")
    said = {
        "event_id": _uuid("at", "event"),
        "event_time": _time(F.col("at")),
        "response_time": _time(F.col("at")),
        "source": F.lit("urn:bench:scorer"),
        "inference_id": inference_id(),
        "request_id": _uuid("at", "request"),
        "session_id": _session(world),
        "subject_key": F.concat(F.lit("person-"), F.pmod(F.xxhash64("id"), F.lit(1_000_000))),
        "task": F.lit("CLASSIFICATION"),
        "model_name": F.concat(F.lit(f"{MODEL}-"), _model(world, hot).cast("string")),
        "model_version": F.when(day < "2025-01-15", "7").otherwise("8"),
        "deployment_id": F.lit("blue"),
        "role": F.lit("PRIMARY"),
        "status": F.lit("OK"),
        "features_num": F.map_from_arrays(
            F.array(*map(F.lit, NUMBERS)), F.array(*(_number(n) for n in range(len(NUMBERS))))
        ),
        "features_str": F.create_map(
            *(F.lit("colour"), _word("colour"), F.lit("country"), F.lit("de")),
            *(F.lit("device"), _word("device"), F.lit("plan"), F.lit("b")),
        ),
        "pred_label": F.when(_draw("said") < POSITIVE, "true").otherwise("false"),
        "class_probs": F.create_map(
            *(F.lit("true"), _draw("share"), F.lit("false"), 1 - _draw("share"))
        ),
        "log_keep_prob": F.lit(1.0),
    }
    return _typed(rows, TYPED["inferences"], batch, said, F.col("id"))


def answers(spark: SparkSession, world: World, batch: int) -> DataFrame:
    """Those that land in a batch; what is said when no batch follows is never heard."""
    numbers = _numbers(spark, world, batch)
    rows = _of_sessions(numbers, world) if world.sessions else _of_inferences(numbers)
    mine = rows.where(_batch(F.col("landed"), world) == batch)
    said = {
        "event_id": _uuid("at", F.concat(F.lit("answer"), "which")),
        "event_time": _time(F.col("happened")),
        "source": F.lit("urn:bench:shop"),
        "subject_key": F.concat(F.lit("person-"), F.pmod(F.xxhash64("id"), F.lit(1_000_000))),
        "level": F.lit("SESSION" if world.sessions else "INFERENCE"),
        "inference_id": F.lit(None) if world.sessions else inference_id(),
        "session_id": _session(world),
        "kind": F.lit("LABEL"),
        "metric": F.lit(METRIC),
        "value_bool": (_draw("truth") < POSITIVE) != F.col("corrects"),
        "op": F.when(F.col("corrects"), "UPDATE").otherwise("CREATE"),
        "supersedes": F.when(F.col("corrects"), _uuid("at", "answer0")),
        "rater_kind": F.lit("END_USER"),
    }
    return _typed(mine, TYPED["feedback"], batch, said, F.col("id") * 2 + F.col("nth"))


def inference_id() -> Column:
    """The id of an inference, from the columns id and at."""
    return _uuid("at", "inference")


def _numbers(spark: SparkSession, world: World, batch: int) -> DataFrame:
    """Every inference that has responded by the end of the batch: its number and its moment."""
    tasks = TASKS if world.batches == 1 else DAILY_TASKS
    numbers = spark.range(0, world.before(batch), 1, tasks)
    return numbers.select("id", _responded(world).alias("at"))


def _of_inferences(numbers: DataFrame) -> DataFrame:
    delay = F.least(-F.log(1 - _draw("delay")) * USUAL_DELAY_DAYS, F.lit(12.0)) * _DAY
    both = F.when(_draw("more") < AGAIN, F.array(F.lit(0), F.lit(1))).otherwise(F.array(F.lit(0)))
    events = (
        numbers.where(_draw("answered") < ANSWERED)
        .withColumn("first", F.col("at") + delay)
        .withColumn("nth", F.explode(both))
    )
    second, kind = F.col("nth") == 1, _draw("kind")
    is_same = second & (kind < SAME)
    corrects = second & (kind >= SAME) & (kind < CORRECTED)
    more = F.when(is_same | ~second, 0).when(corrects, _draw("gap") * _DAY)
    happened = F.col("first") + more.otherwise(_draw("gap") * 2 * _DAY)
    way = F.when(_draw("late") < SLOW, _draw("way") * 10 * _DAY).otherwise(_draw("way") * _MINUTE)
    return events.select(
        *("id", "at", "nth"),
        F.when(is_same, 0).otherwise(F.col("nth")).alias("which"),
        corrects.alias("corrects"),
        happened.alias("happened"),
        (happened + way + F.when(is_same, _HOUR).otherwise(0)).alias("landed"),
    )


def _of_sessions(numbers: DataFrame, world: World) -> DataFrame:
    """One answer a session, soon after its last inference; the hot one may have more."""
    last, ordinary = world.events - 2, SESSION
    ends = F.col("id") % ordinary == ordinary - 1
    if world.hot:
        ends = (F.col("id") % (2 * ordinary) == 2 * ordinary - 1) | (F.col("id") == last)
    many = F.when(F.lit(world.hot) & (F.col("id") == last), world.hot_answers).otherwise(1)
    events = numbers.where(ends).withColumn("nth", F.explode(F.sequence(F.lit(0), many - 1)))
    happened = F.col("at") + (_draw("delay") + F.col("nth")) * _MINUTE
    return events.select(
        *("id", "at", "nth", F.col("nth").alias("which")),
        F.lit(False).alias("corrects"),
        happened.alias("happened"),
        (happened + _MINUTE).alias("landed"),
    )


def _responded(world: World) -> Column:
    micros = int(START.timestamp()) * MICROS
    return F.lit(micros) + F.floor(F.col("id") * (world.apart / DAY * _DAY))


def _batch(landed: Column, world: World) -> Column:
    """The batch of a moment; what lands after the last one lands in none."""
    if world.batches == 1:
        return F.lit(1)
    return F.floor((landed - int(START.timestamp()) * MICROS) / _DAY) + 1


def _session(world: World) -> Column:
    number = F.col("id")
    ordinary = F.concat(F.lit("session-"), F.floor(number / SESSION))
    if not (world.hot and world.sessions):
        return ordinary
    return F.when(number % 2 == 0, "session-hot").otherwise(
        F.concat(F.lit("session-"), F.floor(number / (2 * SESSION)))
    )


def _model(world: World, hot: Column) -> Column:
    number = F.col("id")
    if not world.hot or world.models == 1:
        return number % world.models
    return F.when(hot, 0).otherwise(1 + F.floor(number / 2) % (world.models - 1))


def _draw(what: str) -> Column:
    """A number in [0, 1) for each inference, of its own for each question."""
    return F.pmod(F.xxhash64("id", F.lit(what)), F.lit(_DRAWS)) / F.lit(float(_DRAWS))


def _number(place: int) -> Column:
    drawn = _draw(f"number {place}") + _draw(f"and {place}") - 1
    # Half of a model's numbers are counts and ages, which compress; the others do not.
    return drawn if place % 2 else F.round(40 + 10 * drawn)


def _word(what: str) -> Column:
    words = F.array(*map(F.lit, WORDS))
    return F.element_at(words, (F.floor(_draw(what) * len(WORDS)) + 1).cast("int"))


def _time(micros: Column) -> Column:
    return F.timestamp_micros(micros.cast("long"))


def _uuid(at: str, salt: str | Column) -> Column:
    """As version 7: milliseconds, then what looks random."""
    drawn = F.md5(
        F.concat(F.col("id").cast("string"), F.lit(salt) if isinstance(salt, str) else salt)
    )
    stamp = F.lpad(F.lower(F.hex(F.floor(F.col(at) / 1000))), 12, "0")
    parts = ((stamp, 1, 8), (stamp, 9, 4), (drawn, 1, 3), (drawn, 4, 3), (drawn, 7, 12))
    first, second, third, fourth, last = (F.substring(*part) for part in parts)
    return F.concat_ws(
        "-", first, second, F.concat(F.lit("7"), third), F.concat(F.lit("8"), fourth), last
    )


def _typed(
    rows: DataFrame, table: Table, batch: int, said: dict[str, Column], offset: Column
) -> DataFrame:
    """Valid rows of a typed table: what is said, and of the rest what is there when nothing is."""
    origin = {
        "batch_id": F.lit(batch),
        "topic": F.lit(f"bfp.{table.name}"),
        "partition": (offset % 4).cast("int"),
        "offset": offset,
        "timestamp": F.lit(START),
        "schema": F.lit("1"),
    }
    lead = {
        "batch_id": F.lit(batch),
        "attempt": F.lit(1),
        "origin": F.struct(*(column.alias(name) for name, column in origin.items())),
        "tenant": F.lit("default"),
        "training_allowed": F.lit(True),
    }
    told = lead | said
    return rows.select(
        *(told.get(field.name, _empty(field.dataType)).alias(field.name) for field in table.schema)
    )


def _empty(kind: T.DataType) -> Column:
    if isinstance(kind, T.ArrayType):
        return F.array().cast(kind)
    if isinstance(kind, T.MapType):
        return F.map_from_arrays(F.array(), F.array()).cast(kind)
    return F.lit(None)
