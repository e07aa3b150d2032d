"""What is amiss among the answers of a batch, counted by Spark and by plain Python."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from statistics import median
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from processor.loops import ArrivalsConfig, LoopConfig
from processor.measure.arrivals import (
    ARRIVAL,
    Counts,
    about,
    counted,
    rates,
    source_of,
    targets,
)
from tests.answers import RECORDS, event, framed

Row = dict[str, Any]

T0 = datetime(2024, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TOLD = ArrivalsConfig(near=5 * SECOND, burst_events=8, burst_factor=3)
BATCHES = (1, 2, 3)
SCHEMA = pa.schema(
    {
        "event_id": pa.string(),
        "event_time": pa.timestamp("us", "UTC"),
        "metric": pa.string(),
        "created": pa.bool_(),
        "recent": pa.bool_(),
        "asked": pa.bool_(),
        "blank": pa.bool_(),
        "source": pa.string(),
        "about": pa.string(),
        "part": pa.string(),
        "batch_id": pa.int64(),
        "landed": pa.int64(),
        "topic": pa.string(),
        "partition": pa.int32(),
        "offset": pa.int64(),
    }
)
KNOWN = [f"inference_id:{n}" for n in range(12)]


def drawn(rng: Random, count: int) -> list[Row]:
    """Few ids, sources, targets and moments: ties and edges are common; one minute is busy."""
    rows = []
    for offset in rng.sample(range(10 * count), count):
        busy = rng.random() < 0.2
        second = rng.choice((60, 61, 65, 66)) if busy else rng.randrange(900)
        batch = rng.choice(BATCHES)
        rows.append(
            {
                "event_id": f"e{rng.randrange(2 * count)}",
                "event_time": T0 + second * SECOND,
                "metric": rng.choice("ab"),
                "created": rng.random() < 0.9,
                "recent": rng.random() < 0.9,
                "asked": (asked := rng.random() < 0.8),
                "blank": asked and rng.random() < 0.3,
                "source": "rater:bot" if busy else f"rater:{rng.randrange(6)}",
                "about": rng.choice((None, *(f"inference_id:{n}" for n in range(15)))),
                "part": rng.choice(("", "c")),
                "batch_id": batch,
                "landed": batch,
                "topic": rng.choice("ab"),
                "partition": rng.choice((0, 1)),
                "offset": offset,
            }
        )
    return rows


def oracle(rows: list[Row], batch: int) -> Counts:
    known = sorted((r for r in rows if r["batch_id"] <= batch), key=arrival)
    firsts: dict[str, Row] = {}
    for row in known:
        firsts.setdefault(row["event_id"], row)
    first = [row for row in known if firsts[row["event_id"]] is row]
    new = [row for row in known if row["batch_id"] == batch]
    fresh = [row for row in first if row["batch_id"] == batch]
    created = [row for row in fresh if row["created"]]
    asked = [row for row in fresh if row["recent"] and row["about"] is not None]
    return Counts(
        *(len(new) - len(fresh), len(new)),
        *(sum(is_near(row, first) for row in created), len(created)),
        *(sum(row["about"] not in KNOWN for row in asked), len(asked)),
        *(sum(is_burst(row, first) for row in fresh), len(fresh)),
        *(sum(row["blank"] for row in fresh), sum(row["asked"] for row in fresh)),
    )


def arrival(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ARRIVAL)


def is_near(row: Row, first: list[Row]) -> bool:
    same = ("source", "about", "part", "metric")
    earlier = [
        each
        for each in first
        if each["created"]
        and row["about"] is not None
        and all(each[name] == row[name] for name in same)
        and (each["event_time"], arrival(each)) < (row["event_time"], arrival(row))
    ]
    return any(row["event_time"] - each["event_time"] <= TOLD.near for each in earlier)


def is_burst(row: Row, first: list[Row]) -> bool:
    minutes: dict[datetime, int] = {}
    for each in first:
        if each["source"] == row["source"]:
            minute = each["event_time"].replace(second=0)
            minutes[minute] = minutes.get(minute, 0) + 1
    said = minutes[row["event_time"].replace(second=0)]
    return said > TOLD.burst_events and said > TOLD.burst_factor * median(minutes.values())


def test_what_is_amiss_is_what_plain_python_finds(spark: SparkSession) -> None:
    rng = Random(4)
    rows = drawn(rng, 700)
    # The bot has quiet minutes too: half of what it says is far from its busy one.
    rows += [
        {**row, "event_id": f"q{n}", "event_time": T0 + timedelta(minutes=20 + n)}
        for n, row in enumerate(row for row in rows if row["source"] == "rater:bot")
        if n < 12
    ]
    frame = spark.createDataFrame(pa.Table.from_pylist(rows, SCHEMA))
    known = spark.createDataFrame([(name,) for name in KNOWN], "about string")
    for batch in (1, 3):
        upto = frame.where(F.col("batch_id") <= batch)
        (row,) = counted(upto, known, batch, TOLD).collect()
        assert Counts(**row.asDict()) == oracle(rows, batch)
    assert all(
        getattr(oracle(rows, 3), kind) for kind in ("duplicate", "near_duplicate", "burst", "blank")
    )


def test_a_burst_is_more_than_both_of_its_bounds(spark: SparkSession) -> None:
    """In its busy minute and its four others: one says 8 and 1, one 9 and 1, one 9 and 3."""
    rows: list[Row] = []
    for source, busy, quiet in (("few", 8, 1), ("burst", 9, 1), ("usual", 9, 3)):
        for minute, count in enumerate((busy, *(quiet,) * 4)):
            for second in range(count):
                at = T0 + timedelta(minutes=minute, seconds=5 * second)
                told = {"event_id": f"{source}{minute}.{second}", "event_time": at}
                where = {"topic": "t", "partition": 0, "offset": len(rows)}
                fixed = {"metric": "a", "created": True, "recent": True, "batch_id": 1, "landed": 1}
                fixed |= {"asked": True, "blank": False}
                rows.append({**told, **where, **fixed, "source": source})
    frame = spark.createDataFrame(pa.Table.from_pylist(rows, SCHEMA))
    (row,) = counted(frame, frame.select("about"), 1, TOLD).collect()
    assert (row["burst"], row["burst_of"]) == (9, len(rows))


def test_who_said_it_and_of_what(spark: SparkSession) -> None:
    rng = Random(5)
    rows = [event(rng, "feedback") for _ in range(300)]
    for row in rows:
        row |= {"source": "app", "rater_id": rng.choice((None, "", "r"))}
        row |= {"client_hash": rng.choice((None, "c"))}
    found = framed(spark, RECORDS["feedback"], rows, {}).select(
        "event_id", source_of("feedback").alias("source"), about("feedback").alias("about")
    )
    wanted = {r["event_id"]: (who(r), whereof(r)) for r in rows}
    assert {r["event_id"]: (r["source"], r["about"]) for r in found.collect()} == wanted


def who(row: Row) -> str:
    if row["rater_id"]:
        return "rater:r"
    return "client:c" if row["client_hash"] else "source:app"


def whereof(row: Row) -> str | None:
    keys = {
        **dict.fromkeys(("INFERENCE", "CANDIDATE"), ("inference_id",)),
        "STEP": ("inference_id", "episode_id"),
        "SESSION": ("session_id",),
        "EPISODE": ("episode_id",),
    }
    named = [f"{name}:{row[name]}" for name in keys.get(row["level"], ()) if row[name]]
    return named[0] if named else None


def test_every_id_of_an_inference_can_be_answered(spark: SparkSession) -> None:
    columns = "inference_id string, session_id string, episode_id string, request_id string"
    rows = [("i", "s", None, ""), ("j", "s", None, "r")]
    found = targets(spark.createDataFrame(rows, columns)).collect()
    names = ["inference_id:i", "inference_id:j", "request_id:r", "session_id:s"]
    assert sorted(row["about"] for row in found) == names


def test_a_batch_without_answers_has_no_rates(spark: SparkSession) -> None:
    nothing = spark.createDataFrame(pa.Table.from_pylist([], SCHEMA))
    (row,) = counted(nothing, nothing.select("about"), 1, TOLD).collect()
    assert Counts(**row.asDict()) == Counts(*[0] * 10)


def test_a_rate_is_a_share_with_its_interval() -> None:
    loop = LoopConfig.model_validate(
        {"loop": "l", "model": "m", "outcome": {"metric": "x", "signal": "thumbs", "window": "1d"}}
    )
    (first,) = rates(loop, "feedback", Counts(1, 4, *[0] * 8))
    assert (first.metric, first.value, first.n) == ("feedback.duplicate_rate", 0.25, 4)
    assert first.ci_low == pytest.approx(0.0456, abs=1e-4)
