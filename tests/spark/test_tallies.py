"""What is counted of sources, batch after batch, against each rater held against the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from processor.loops import SourcesConfig
from processor.measure.sources.base import Tally
from processor.measure.tallies import (
    TALLY,
    compared,
    epoch,
    is_person,
    matches,
    merged,
    paces,
)
from tests.tallies import Compared, compare, tally

Row = dict[str, Any]

T0 = datetime(2024, 3, 1, tzinfo=UTC)
TOLD = SourcesConfig(raters=3, per_minute=3)
BATCHES = (1, 2, 3)
SPAN = timedelta(hours=1)
SCHEMA = pa.schema(
    {
        "event_id": pa.string(),
        "event_time": pa.timestamp("us", "UTC"),
        "metric": pa.string(),
        "target": pa.string(),
        "source": pa.string(),
        "person": pa.bool_(),
        "reaction_ms": pa.int64(),
        "value": pa.string(),
        "retracts": pa.bool_(),
        "batch_id": pa.int64(),
        "landed": pa.int64(),
        "topic": pa.string(),
        "partition": pa.int32(),
        "offset": pa.int64(),
    }
)
PLACE = ("batch_id", "landed", "topic", "partition", "offset")
EMPTY = pa.schema(
    {
        "source": pa.string(),
        **dict.fromkeys(("answers", "timed", "fast", "minutes", "crowded"), pa.int64()),
        "compared": pa.int64(),
        "matched": pa.float64(),
        "expected": pa.float64(),
        "bets": pa.list_(pa.int64()),
        "only": pa.string(),
        "sameness": pa.int64(),
        "most": pa.int64(),
    }
)


def drawn(rng: Random, count: int) -> list[Row]:
    """Few questions, sources and values: many ties; who answers again, retracts or is resent."""
    rows = []
    for offset in rng.sample(range(10 * count), count):
        batch = rng.choice(BATCHES)
        source = rng.randrange(9)
        rows.append(
            {
                "event_id": f"e{rng.randrange(4 * count)}",
                "event_time": T0 + timedelta(seconds=rng.randrange(7200)),
                "metric": "m",
                "target": f"t{rng.randrange(40)}",
                "source": f"rater:{source}",
                "person": source > 1,
                "reaction_ms": rng.choice((None, 10, 299, 300, 5000)),
                "value": "a" if source == 0 else rng.choice(("a", "a", "b", "c", None)),
                "retracts": rng.random() < 0.1,
                "batch_id": batch,
                "landed": batch,
                "topic": rng.choice("ab"),
                "partition": rng.choice((0, 1)),
                "offset": offset,
            }
        )
    return rows


def place(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in PLACE)


def units(rows: Iterable[Row]) -> dict[tuple[str, int], dict[str, list[Row]]]:
    """What each source said to each question, of each stretch of time."""
    found: dict[tuple[str, int], dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        stretch = int(row["event_time"].timestamp() // SPAN.total_seconds())
        found[row["target"], stretch][row["source"]].append(row)
    return found


def due(rows: list[Row], batch: int) -> dict[str, list[Compared]]:
    """What is compared of each source in a batch."""
    found: dict[str, list[Compared]] = defaultdict(list)
    for unit in units(row for row in rows if row["batch_id"] <= batch).values():
        first = {name: min(row["batch_id"] for row in said) for name, said in unit.items()}
        last = {n: max(said, key=lambda r: (r["event_time"], place(r))) for n, said in unit.items()}
        stands = {n: r["value"] for n, r in last.items() if r["value"] and not r["retracts"]}
        before = sum(number < batch for number in first.values())
        if len(unit) < TOLD.raters or len(stands) < 2:
            continue
        for name, row in compare(stands).items():
            if first[name] == batch or before < TOLD.raters:
                found[name].append(row)
    return found


def oracle(rows: list[Row], upto: int) -> dict[str, Tally]:
    ordered, firsts = sorted(rows, key=place), dict[str, Row]()
    for row in ordered:
        firsts.setdefault(row["event_id"], row)
    found: dict[str, list[Compared]] = defaultdict(list)
    for batch in range(1, upto + 1):
        for name, more in due(rows, batch).items():
            found[name] += more
    said = defaultdict(list)
    for row in firsts.values():
        if row["batch_id"] <= upto:
            said[row["source"]].append(row)
    return {name: tally(found[name], TOLD, **pace(said[name])) for name in said}


def pace(said: list[Row]) -> dict[str, int]:
    people = [row for row in said if row["person"]]
    timed = [row for row in people if row["reaction_ms"] is not None]
    minutes: dict[tuple[int, datetime], int] = defaultdict(int)
    for row in people:
        minutes[row["batch_id"], row["event_time"].replace(second=0)] += 1
    return {
        "answers": len(said),
        "timed": len(timed),
        "fast": sum(row["reaction_ms"] < TOLD.reaction_ms for row in timed),
        "minutes": len(minutes),
        "crowded": sum(n > TOLD.per_minute for n in minutes.values()),
    }


def tallied(rows: DataFrame, before: DataFrame, batch: int) -> DataFrame:
    said = rows.where(F.col("batch_id") <= batch).withColumn("epoch", epoch(SPAN))
    found = compared(matches(said, batch, TOLD), TOLD)
    return merged(before, paces(said, batch, TOLD), found)


@pytest.mark.parametrize("parts", [1, 3])
def test_tallies_are_those_of_plain_python_however_rows_lie(
    spark: SparkSession, parts: int
) -> None:
    rows = drawn(Random(7), 900)
    frame = spark.createDataFrame(pa.Table.from_pylist(rows, SCHEMA)).repartition(parts)
    before = spark.createDataFrame(pa.Table.from_pylist([], EMPTY))
    for batch in BATCHES:
        found = tallied(frame, before, batch).drop("active").toArrow()
        wanted = oracle(rows, batch)
        assert {row["source"] for row in found.to_pylist()} == set(wanted)
        for row in found.to_pylist():
            assert_same(row, wanted[row["source"]])
        before = spark.createDataFrame(found)
    assert oracle(rows, 3)["rater:0"].only == "a"


def assert_same(row: Row, wanted: Tally) -> None:
    """Whole numbers exactly; logarithms to the billionth, which each answer may round down."""
    near = {"matched", "expected", "bets", "sameness", "most"}
    for name in TALLY:
        value = getattr(wanted, name)
        if name not in near:
            assert row[name] == value, name
        else:
            told = list(value) if name == "bets" else value
            slack = wanted.compared * (1e-9 if name in ("matched", "expected") else 1)
            assert row[name] == pytest.approx(told, rel=0, abs=slack + 1e-9), name


def test_a_person_is_named_and_no_machine(spark: SparkSession) -> None:
    rows = [
        ("r", None, "END_USER", True),
        (None, "c", "UNKNOWN", True),
        ("", "", "CROWD", False),
        (None, None, "EXPERT", False),
        ("r", "c", "LLM_JUDGE", False),
    ]
    columns = "rater_id string, client_hash string, rater_kind string, wanted boolean"
    found = spark.createDataFrame(rows, columns).select(is_person().alias("found"), "wanted")
    assert all(row["found"] == row["wanted"] for row in found.collect())
