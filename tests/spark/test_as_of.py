"""The state as of a time: what Spark finds is what plain Python, and pandas.merge_asof, find."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.datasets.as_of import as_of, is_future
from processor.loops import EnrichConfig
from processor.stages import enrichment
from processor.stages.base import Context
from processor.tables import ORIGIN, TYPED
from processor.warehouse import Warehouse
from tests.spark.planted import T0, Row, configured, typed

MINUTE, NEVER = timedelta(minutes=1), timedelta(0)
TOLD = EnrichConfig(
    session=("country", "attributes.tier"), max_age=30 * MINUTE, tolerance=2 * MINUTE
)
SESSIONS, ROWS, STATES = 40, 500, 500
BATCHES, AS_OF = (1, 2, 3), 2
SAID_AFTER = [n * MINUTE for n in (-5, 0, 0, 0, 2, 3, 20)]
"""How long after it happened a state is said: before, at once, within the tolerance, and after."""


def states(rng: Random) -> list[Row]:
    """Few times and ids, so that ties, duplicates and states out of order are common.

    What is said of the first half of the sessions is said at once.
    """
    found = []
    for offset in rng.sample(range(10 * STATES), STATES):
        session, at = rng.randrange(SESSIONS), T0 + rng.randrange(60) * MINUTE
        late = NEVER if session < SESSIONS // 2 else rng.choice(SAID_AFTER)
        batch = rng.choice(BATCHES)
        row = typed(
            TYPED["sessions"],
            {
                "event_id": f"{session}-{rng.randrange(STATES // SESSIONS)}",
                "session_id": f"s{session}",
                "event_time": at,
                "seq": rng.randrange(3),
                "training_allowed": rng.random() < 0.9,
                "country": f"c{offset}",
                "attributes": [("tier", f"t{offset}")] if rng.random() < 0.8 else [],
                "defects": [{"code": "x", "detail": "y"}] if rng.random() < 0.05 else [],
            },
            batch,
            offset,
        )
        row["origin"]["timestamp"] = at + late
        found.append(row)
    return found


def inferences(rng: Random) -> list[Row]:
    """Of sessions that are there, of one that is not, and of none."""
    names = [f"s{n}" for n in range(SESSIONS)]
    found = []
    for number in range(ROWS):
        at = T0 + rng.randrange(-2, 70) * MINUTE
        session = rng.choice(names) if number % 10 else rng.choice((None, "", "nowhere"))
        response = at + rng.choice((0, 0, 10)) * MINUTE
        times = {"event_time": at, "response_time": response}
        found.append({"inference_id": f"i{number}", "session_id": session, **times})
    return found


@pytest.fixture(scope="module")
def planted() -> tuple[list[Row], list[Row]]:
    rng = Random(6)
    return states(rng), inferences(rng)


@pytest.fixture(scope="module")
def context(
    spark_session: SparkSession,
    tmp_path_factory: pytest.TempPathFactory,
    planted: tuple[list[Row], list[Row]],
) -> Context:
    home = tmp_path_factory.mktemp("as_of")
    place = Warehouse(str(home))
    for batch in BATCHES:
        mine = [row for row in planted[0] if row["batch_id"] == batch]
        place.append_once(TYPED["sessions"], mine, "test", batch)
    return Context(configured(home, {}), place, "run", lambda: spark_session, lambda _: None)


def chosen(context: Context, rows: Iterable[Row]) -> DataFrame:
    """The inferences as rows of a version, in several partitions."""
    schema = {n: pa.timestamp("us", "UTC") for n in ("event_time", "response_time")}
    names = pa.schema({"inference_id": pa.string(), "session_id": pa.string(), **schema})
    frame = context.spark.createDataFrame(pa.Table.from_pylist(list(rows), names)).repartition(3)
    nowhere = F.array().cast(f"array<{ORIGIN.simpleString()}>").alias("origins")
    return frame.select("inference_id", nowhere, *enrichment.asked(TOLD))


def at_batch(number: int) -> Batch:
    return Batch(number, (), T0, "run", "hash", "code")


def arrival(row: Row) -> tuple[int, str, int, int]:
    origin = row["origin"]
    return (row["batch_id"], origin["topic"], origin["partition"], origin["offset"])


def order(row: Row) -> tuple[object, ...]:
    return (row["event_time"], row["seq"], *arrival(row))


def once(rows: Iterable[Row]) -> list[Row]:
    """The valid events as of the batch, each as it first arrived."""
    valid = [row for row in rows if not row["defects"] and row["batch_id"] <= AS_OF]
    first: dict[str, Row] = {}
    for row in sorted(valid, key=arrival):
        first.setdefault(row["event_id"], row)
    return list(first.values())


def oracle(asked: Row, rows: list[Row]) -> tuple[Row | None, bool]:
    """The state of one inference by the rule in plain words, and whether a later is untimely."""
    at: datetime = asked["event_time"]
    happened = [
        row
        for row in rows
        if row["session_id"] == asked["session_id"]
        and asked["response_time"] - TOLD.max_age < row["event_time"] <= at
    ]
    said = [row for row in happened if row["origin"]["timestamp"] <= at + TOLD.tolerance]
    last = max(said, key=order, default=None)
    return last, max(happened, key=order, default=None) is not last


def test_hundreds_of_histories_are_what_plain_python_and_pandas_find(
    context: Context, planted: tuple[list[Row], list[Row]]
) -> None:
    frame = chosen(context, planted[1])
    found = enrichment.enriched(context, at_batch(AS_OF), TOLD, frame, None)
    rows = {row["inference_id"]: row for row in found.rows.toArrow().to_pylist()}
    known = once(planted[0])
    wanted = {asked["inference_id"]: oracle(asked, known) for asked in planted[1]}
    assert {name: place(row["state"]) for name, row in rows.items()} == {
        name: arrival(last) if last else None for name, (last, _) in wanted.items()
    }
    assert {n: row["untimely"] for n, row in rows.items()} == {n: u for n, (_, u) in wanted.items()}
    used = {n: last for n, (last, _) in wanted.items() if last and last["training_allowed"]}
    assert {name: row["session"] for name, row in rows.items() if row["session"]} == {
        name: [row["country"], dict(row["attributes"]).get("tier")] for name, row in used.items()
    }
    assert {name: row["origins"] for name, row in rows.items() if row["origins"]} == {
        name: [{k: row["origin"][k] for k in ORIGIN.names}] for name, row in used.items()
    }
    counts = [
        sum(last is not None for last, _ in wanted.values()),
        sum(u for _, u in wanted.values()),
    ]
    assert list(found.quality.values()) == [n / ROWS for n in counts]
    assert found.future == {"rows": 0, "share": 0.0, "examples": []}
    assert 0.5 < found.quality["session.known"] < 0.9
    assert found.quality["session.untimely"] > 0.05
    assert by_pandas(planted[1], known) == {
        name: place(rows[name]["state"]) for name in timely(planted[1])
    }


def place(state: Any) -> tuple[int, str, int, int] | None:  # noqa: ANN401  # a Spark row or a dict
    if state is None:
        return None
    return (state["batch_id"], state["topic"], state["partition"], state["offset"])


def timely(asked: Iterable[Row]) -> list[str]:
    """The inferences of sessions of which all is said at once, or of none."""
    late = {f"s{n}" for n in range(SESSIONS // 2, SESSIONS)}
    return [row["inference_id"] for row in asked if row["session_id"] not in late]


def by_pandas(asked: list[Row], known: list[Row]) -> dict[str, tuple[int, str, int, int] | None]:
    names = timely(asked)
    mine = [row for row in asked if row["inference_id"] in names]
    left = pd.DataFrame(mine).sort_values("event_time", kind="stable")
    ordered = sorted(known, key=order)
    right = pd.DataFrame(
        {
            "event_time": [row["event_time"] for row in ordered],
            "happened": [row["event_time"] for row in ordered],
            "session_id": [row["session_id"] for row in ordered],
            "place": [arrival(row) for row in ordered],
        }
    )
    joined = pd.merge_asof(left.fillna({"session_id": ""}), right, on="event_time", by="session_id")
    recent = joined["happened"] > joined["response_time"] - TOLD.max_age
    places = joined["place"].where(recent, None)
    return dict(zip(joined["inference_id"], (p or None for p in places), strict=True))


def test_what_is_too_old_for_every_row_is_not_read(
    context: Context, planted: tuple[list[Row], list[Row]]
) -> None:
    since = T0 + 50 * MINUTE
    rows = [row for row in planted[1] if row["response_time"] > since]
    bounded = enrichment.states(context, at_batch(AS_OF), TOLD, since)
    places = {place(row) for row in bounded.collect()}
    least = min(row["event_time"] for row in planted[0] if arrival(row) in places)
    assert least > since - TOLD.max_age
    needed = {arrival(last) for row in rows if (last := oracle(row, once(planted[0]))[0])}
    assert needed <= places
    assert len(places) < len(once(planted[0]))


EDGES = (
    (0, 0, True),  # at the very moment
    (0, 2, True),  # within the tolerance
    (-5, 3, False),  # it claims to be from before, and was said after
    (1, 0, False),  # it was said before it happened
    (-29, -29, True),
    (-30, -30, False),  # too old
)
"""Minutes after the inference at which a state happened and was said; whether it is known."""


def test_the_edges_of_what_is_known(spark: SparkSession) -> None:
    """And a row that has such a state all the same is found to be told of what came after."""
    at = T0 + 60 * MINUTE
    times = "key string, event_time timestamp, said_at timestamp, seq int"
    told = [(str(n), at + h * MINUTE, at + s * MINUTE, 0) for n, (h, s, _) in enumerate(EDGES)]
    states = spark.createDataFrame(told, times)
    asked = "inference_id string, asked struct<key: string, at: timestamp, oldest: timestamp>"
    keys = [str(n) for n in range(len(EDGES))]
    rows = spark.createDataFrame([(key, (key, at, at - TOLD.max_age)) for key in keys], asked)
    packed = states.select("key", F.struct("event_time", "said_at").alias("state"))
    naive = rows.join(packed, F.col("asked")["key"] == F.col("key"))
    leaks = naive.select("inference_id", is_future(TOLD.tolerance).alias("leaks"))
    joined = as_of(rows, states, ("event_time", "seq"), TOLD.tolerance).join(leaks, "inference_id")
    for row in joined.collect():
        happened, said, is_known = EDGES[int(row["inference_id"])]
        assert (row["state"] is not None) == is_known
        assert row["untimely"] == (happened <= 0 and said > 2)
        assert row["leaks"] == (happened > 0 or said > 2)


def test_a_value_that_was_filled_in_later_does_not_displace_the_one_that_was_known(
    spark: SparkSession,
) -> None:
    """The scenario of https://github.com/feast-dev/feast/issues/6615: a backfill, then a rebuild.

    The later value is of before the row, and was written after it: whoever joins by the time at
    which a value happened alone gives the row what nobody could have served it.
    """
    at = T0 + 60 * MINUTE
    times = "key string, event_time timestamp, said_at timestamp, seq int"
    known = ("k", at - 10 * MINUTE, at - 10 * MINUTE, 0)
    backfilled = ("k", at - 5 * MINUTE, at + 60 * MINUTE, 1)
    asked = "inference_id string, asked struct<key: string, at: timestamp, oldest: timestamp>"
    rows = spark.createDataFrame([("i", ("k", at, at - TOLD.max_age))], asked)
    for states in ([known], [known, backfilled]):
        told = spark.createDataFrame(states, times)
        (row,) = as_of(rows, told, ("event_time", "seq"), TOLD.tolerance).collect()
        assert row["state"]["seq"] == 0
        assert row["untimely"] == (len(states) > 1)
