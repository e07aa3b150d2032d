"""What was settled is not read again, and nothing that is not settled is missed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from pyspark.sql import SparkSession

from processor.batches import Batch
from processor.feedback.question import questions
from processor.loops import LoopConfig
from processor.stages import compile as stage
from processor.stages.base import Context
from processor.stages.compile import additions
from processor.stages.quarantine import expired
from processor.stages.standings import METRIC, standings
from processor.table import Table
from processor.tables import BATCHES, EXPIRED, MEASUREMENTS, OUTCOMES, PROOFS, TYPED
from processor.warehouse import Warehouse
from tests.spark.planted import T0, Row, configured, typed

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LATE = 2 * HOUR
PATIENCE = HOUR + 10 * MINUTE
INFERENCES, BATCH_COUNT = 150, 3
GHOSTS = 60  # answers to inferences that never land
MARKS = {1: T0 + 4 * HOUR, 2: None, 3: T0 + 6 * HOUR}
"""Watermarks by batch; the second is the first part of a divided cut, and moves none."""
FIELDS = (
    "batch_id",
    "inference_id",
    "state",
    "timing",
    "value",
    "credit",
    "response_time",
    "answered_at",
)


def loop(name: str, **outcome: Any) -> LoopConfig:  # noqa: ANN401  # any key
    told = {"metric": "copied", "signal": "click", "window": "1h", "grace": "10m", "late": "2h"}
    return LoopConfig.model_validate({"loop": name, "model": "bot", "outcome": told | outcome})


SHARED = {"level": "session", "credit": {"rule": "uniform"}}
LOOPS = {
    each.loop: each
    for each in (
        loop("own", default="negative"),
        loop("shared", **SHARED),
        loop("by-gap", **SHARED, session_gap="30m"),
    )
}


def history(rng: Random) -> tuple[list[tuple[int, Row]], list[tuple[int, Row]]]:
    """Inferences, most of them soon landed, and answers that take up to five hours."""
    said: list[tuple[int, Row]] = []
    heard: list[tuple[int, Row]] = []
    for number in range(INFERENCES):
        at = T0 + rng.randrange(6 * 60) * MINUTE
        name, session, subject = f"i{number}", f"s{number // 3}", f"u{number // 20}"
        landed = rng.choice([n for n in MARKS if n >= first(at)])
        base = {"inference_id": name, "session_id": session, "role": "PRIMARY", "status": "OK"}
        base |= {"subject_key": subject}
        times = {"event_time": at, "response_time": at if rng.random() < 0.5 else None}
        said.append((landed, {**base, **times, "model_name": "bot", "model_version": "1"}))
        for answer in range(rng.choice((0, 1, 1, 2))):
            when = at + rng.choice((rng.randrange(60), rng.randrange(300))) * MINUTE
            known = rng.choice([n for n in MARKS if n >= first(when)])
            what = {"event_id": f"{name}-{answer}", "event_time": when, "kind": "ENGAGEMENT"}
            about = {"inference_id": name, "session_id": session, "op": "CREATE"}
            about |= {"subject_key": subject}
            level = rng.choice(("INFERENCE", "SESSION"))
            heard.append((known, {**what, **about, "metric": "copied", "level": level}))
    for number in range(GHOSTS):
        when = T0 + rng.randrange(6 * 60) * MINUTE
        known = rng.choice([n for n in MARKS if n >= first(when)])
        what = {"event_id": f"ghost-{number}", "event_time": when, "kind": "ENGAGEMENT"}
        about = {"inference_id": f"g{number}", "session_id": f"h{number}", "op": "CREATE"}
        heard.append((known, {**what, **about, "metric": "copied", "level": "INFERENCE"}))
    return said, heard


def first(at: datetime) -> int:
    """The first batch that can bring what was said then."""
    return 1 if at <= T0 + 4 * HOUR else 2


@pytest.fixture(scope="module")
def planted() -> tuple[list[tuple[int, Row]], list[tuple[int, Row]]]:
    return history(Random(4))


@pytest.fixture(scope="module")
def context(
    spark_session: SparkSession,
    tmp_path_factory: pytest.TempPathFactory,
    planted: tuple[list[tuple[int, Row]], list[tuple[int, Row]]],
) -> Context:
    """A warehouse with all batches compiled, and the standings of the loop `own` measured."""
    home = tmp_path_factory.mktemp("settled")
    place = Warehouse(str(home))
    context = Context(configured(home, LOOPS), place, "run", lambda: spark_session, lambda _: None)
    for number, mark in MARKS.items():
        for name, rows in zip(("inferences", "feedback"), planted, strict=True):
            mine = [row for landed, row in rows if landed == number]
            filled = [typed(TYPED[name], row, number, at) for at, row in enumerate(mine)]
            place.append_once(TYPED[name], filled, "test", number)
        write(place, PROOFS, [{"watermark": mark}], number)
        write(place, BATCHES, [{"config_hash": "hash"}], number)
        stage.run(context, batch_of(number))
        found = standings(context, LOOPS["own"], batch_of(number))
        write(place, MEASUREMENTS, [vars(each) for each in found], number)
    return context


def batch_of(number: int) -> Batch:
    return Batch(number, (), T0, "run", "hash", "code")


def write(place: Warehouse, table: Table, rows: Iterable[Row], number: int) -> None:
    nothing = dict.fromkeys(table.schema.names)
    filled = [{**nothing, **row, "batch_id": number} for row in rows]
    place.append_once(table, filled, "test", number)


def told(rows: Iterable[Row]) -> list[Row]:
    """What rows of the ledger say, in one order."""
    named = [{field: row[field] for field in FIELDS} for row in rows]
    return sorted(named, key=lambda row: (row["batch_id"], row["inference_id"], row["timing"]))


def ledger(context: Context, name: str) -> list[Row]:
    return told(row for row in context.warehouse.rows(OUTCOMES).to_pylist() if row["loop"] == name)


def reached(batch: int) -> datetime | None:
    """The watermark as of a batch."""
    return max((m for n, m in MARKS.items() if m and n <= batch), default=None)


def settled(batch: int) -> datetime:
    """What responded by then is settled before the batch."""
    mark = reached(batch - 1)
    return mark - PATIENCE - LATE if mark else T0 - HOUR


@pytest.mark.parametrize("name", LOOPS)
def test_of_what_is_not_settled_nothing_is_missed(context: Context, name: str) -> None:
    outcome = LOOPS[name].outcome.model_copy(update={"late": None})
    patient = LOOPS[name].model_copy(update={"outcome": outcome})
    (question,) = questions(patient)
    last = additions(context, patient, question, batch_of(BATCH_COUNT)).toArrow().to_pylist()
    found = [row for row in ledger(context, name) if row["batch_id"] == BATCH_COUNT]
    assert found == told(row for row in last if row["response_time"] > settled(BATCH_COUNT))
    assert 0 < len(found) < len(last)
    assert {row["timing"] for row in found} >= {"ON_TIME", "LATE"}


def test_standings_add_up_though_what_was_settled_is_not_counted_again(
    context: Context, planted: tuple[list[tuple[int, Row]], list[tuple[int, Row]]]
) -> None:
    measured = context.warehouse.rows(MEASUREMENTS).to_pylist()
    for batch in MARKS:
        known = [row for row in ledger(context, "own") if row["batch_id"] <= batch]
        wanted = Counter(
            stood(known, row, landed, batch) for landed, row in planted[0] if landed <= batch
        )
        for amiss in ("LATE", "OUTSIDE"):
            wanted[amiss.lower()] = len({r["inference_id"] for r in known if r["timing"] == amiss})
        mine = (row for row in measured if row["batch_id"] == batch)
        assert {row["metric"].removeprefix(METRIC): row["n"] for row in mine if row["n"]} == +wanted
    assert set(wanted) >= {"known", "too_old", "late", "outside"}


def stood(known: Iterable[Row], inference: Row, landed: int, batch: int) -> str:
    """Where an inference stands as of a batch, by the rules in plain words."""
    if inference["event_time"] <= settled(landed):
        return "too_old"
    mine = (row for row in known if row["inference_id"] == inference["inference_id"])
    if any(row["timing"] in ("ON_TIME", "DEFAULT") for row in mine):
        return "known"
    mark = reached(batch)
    closed = mark is not None and inference["event_time"] + PATIENCE <= mark
    return "unknown" if closed else "censored"


def test_an_answer_expires_once_when_nothing_can_come_of_it(
    context: Context, planted: tuple[list[tuple[int, Row]], list[tuple[int, Row]]]
) -> None:
    wanted: set[tuple[int, str, str]] = set()
    landed = {row["inference_id"]: number for number, row in planted[0]}
    for known, event in planted[1]:
        at = event["event_time"]
        if event["level"] != "INFERENCE":
            continue
        if at <= settled(known):
            wanted.add((known, event["event_id"], "too_late"))
            continue
        over = next((n for n in MARKS if n >= known and at <= settled(n + 1)), None)
        if over is not None and landed.get(event["inference_id"], over + 1) > over:
            wanted.add((over, event["event_id"], "orphan"))
    rows = [row for row in context.warehouse.rows(EXPIRED).to_pylist() if row["loop"] == "own"]
    found = sorted((row["batch_id"], row["event_id"], row["reason"]) for row in rows)
    assert found == sorted(wanted)
    assert {reason for _, _, reason in found} == {"orphan", "too_late"}
    counted = expired(context.warehouse, "own")
    assert sum(each["n"] for each in counted) == len(found)
    assert [each["reason"] for each in counted] == ["orphan", "too_late"]
