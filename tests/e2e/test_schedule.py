"""Schedules: late starts, divided backlogs and backfills, all in one process on one session."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

from processor.config import Config, load
from processor.kafka.offsets import Broker
from processor.stages.backfill import backfilled, place
from processor.stages.base import Request
from processor.stages.catch_up import caught_up, taken_until
from processor.stages.pipeline import STAGES, Planned, next_batch
from processor.stages.runner import take
from processor.warehouse import Warehouse
from tests.e2e.sameness import fingerprint, follows, same
from tests.e2e.tables import arrow
from tests.e2e.world import Site, World

SUNDAY = datetime(2016, 12, 25, tzinfo=UTC)
BOUNDARIES = [SUNDAY + timedelta(days=1, weeks=n) for n in range(3)]
"""Mondays at midnight: all but one week of the year, that week, and one in which nothing came."""
EARLY, LAST = BOUNDARIES[0], BOUNDARIES[-1]

Spark = Callable[[], SparkSession]


@pytest.fixture(scope="module")
def spark_of(spark_session: SparkSession) -> Spark:
    return lambda: spark_session


def no_spark() -> SparkSession:
    raise AssertionError("nothing can have changed, and Spark was asked for")


def quietly(_text: str) -> None:
    """Progress is not looked at here."""


def weekly(site: Site, **batch: int) -> Config:
    told = yaml.safe_load(site.config.read_text())
    told |= {"schedule": {"every": "week", "zone": "UTC", "weekday": "monday"}, "batch": batch}
    site.config.write_text(yaml.safe_dump(told))
    return load(site.config)


def cuts(site: Site) -> list[datetime]:
    """The moment that each batch ended at."""
    found = {
        row["batch_id"]: row["cut_time"] for row in arrow(site.warehouse / "batches").to_pylist()
    }
    return [found[number] for number in sorted(found)]


@pytest.fixture(scope="module")
def in_time(world: World, spark_of: Spark) -> Site:
    """A warehouse whose runs came in time, one for each boundary."""
    site = world.site("in-time")
    config = weekly(site)
    for boundary in BOUNDARIES:
        taken = take(config, spark_of, quietly, Request(boundary))
        assert taken is not None
        assert (taken.cut_time, taken.resumed, taken.partial) == (boundary, False, False)
    return site


def test_a_late_start_gives_the_batches_of_starts_in_time(
    world: World, in_time: Site, spark_of: Spark
) -> None:
    late = world.site("caught-up")
    config = weekly(late)
    take(config, spark_of, quietly, Request(EARLY), STAGES[:2])  # begun, and left there
    taken = list(caught_up(config, spark_of, quietly, Request(LAST), since=SUNDAY))
    assert [(each.batch, each.cut_time) for each in taken] == list(enumerate(BOUNDARIES, 1))
    assert [each.resumed for each in taken] == [True, False, False]
    assert cuts(late) == BOUNDARIES
    same(in_time, late)
    again = list(caught_up(config, no_spark, quietly, Request(LAST), since=SUNDAY))
    assert again == []


def test_a_moment_that_was_taken_is_nothing_to_do(in_time: Site) -> None:
    config = load(in_time.config)
    for moment in (LAST, EARLY):
        assert list(taken_until(config, no_spark, quietly, Request(moment))) == []


def test_a_batch_to_which_nothing_came_is_taken_without_spark(
    in_time: Site, tmp_path: Path
) -> None:
    shutil.copytree(in_time.warehouse, tmp_path / "warehouse")
    moved = (f"warehouse={tmp_path / 'warehouse'}", f"report={tmp_path / 'report'}")
    config, later = load(in_time.config, moved), LAST + timedelta(weeks=1)
    planned = next_batch(config, Warehouse(config.warehouse), "", Request(later))
    assert isinstance(planned, Planned)
    assert planned.batch.expected == 0
    taken = take(config, no_spark, quietly, Request(later))
    assert taken is not None
    assert (taken.batch, taken.cut_time) == (planned.batch.id, later)
    assert list(taken_until(config, no_spark, quietly, Request(later))) == []
    (proof,) = {
        (row["landed"], row["watermark"])
        for row in arrow(tmp_path / "warehouse" / "proofs").to_pylist()
        if row["batch_id"] == planned.batch.id
    }
    assert proof == (0, later)


def test_what_no_batch_brought_closes_windows_in_order(world: World, in_time: Site) -> None:
    marks = {
        row["batch_id"]: row["watermark"] for row in arrow(in_time.warehouse / "proofs").to_pylist()
    }
    assert [marks[number] for number in sorted(marks)] == BOUNDARIES
    landed = arrow(in_time.warehouse / "log")["batch_id"].to_pylist()
    assert set(landed) == {1, 2}
    measured = arrow(in_time.warehouse / "measurements")["batch_id"].to_pylist()
    assert set(measured) == {1, 2}


def known(site: Site) -> dict[str, tuple[str, str, str]]:
    """What is known of each inference at the end, and whether in time."""
    found: dict[str, tuple[str, str, str]] = {}
    told = arrow(site.warehouse / "outcomes").to_pylist()
    for row in sorted(told, key=lambda row: (row["batch_id"], row["timing"])):
        found[row["inference_id"]] = (row["state"], row["value"], row["timing"])
    return found


def test_a_divided_backlog_ends_as_one_taken_whole(
    world: World, in_time: Site, spark_of: Spark
) -> None:
    whole = [r for r in arrow(in_time.warehouse / "batches").to_pylist() if r["batch_id"] == 1]
    total = sum(row["end_offset"] - row["start_offset"] for row in whole)
    divided = world.site("divided")
    config = weekly(divided, max_rows=total // 2 + 1)
    first = take(config, spark_of, quietly, Request(EARLY))
    assert first is not None
    assert first.partial
    warehouse = Warehouse(config.warehouse)
    planned = next_batch(config, warehouse, "", Request(LAST))  # the rest comes first
    assert isinstance(planned, Planned)
    assert (planned.batch.cut_time, planned.batch.partial) == (EARLY, False)
    taken = list(caught_up(config, spark_of, quietly, Request(EARLY)))
    assert [(each.batch, each.partial) for each in taken] == [(2, False)]
    proofs = arrow(divided.warehouse / "proofs").to_pylist()
    assert {row["watermark"] for row in proofs if row["batch_id"] == 1} == {None}
    assert {row["watermark"] for row in proofs if row["batch_id"] == 2} == {EARLY}
    assert {n: sum(r["expected"] for r in proofs if r["batch_id"] == n) for n in (1, 2)} == {
        1: total // 2 + 1,
        2: total - total // 2 - 1,
    }
    ends = {(r["topic"], r["partition"]): r["end_offset"] for r in whole}
    parts = [r for r in arrow(divided.warehouse / "batches").to_pylist() if r["batch_id"] == 2]
    assert {(r["topic"], r["partition"]): r["end_offset"] for r in parts} == ends
    unsplit = [r for r in arrow(in_time.warehouse / "outcomes").to_pylist() if r["batch_id"] == 1]
    assert known(divided) == {
        r["inference_id"]: (r["state"], r["value"], r["timing"]) for r in unsplit
    }


def published(site: Site) -> dict[Any, int]:
    config = load(site.config)
    bounds = Broker(config.kafka).bounds(site.outputs.values())
    return {p: now.high_watermark for p, now in bounds.items()}


def test_a_backfill_touches_nothing_and_under_the_same_configuration_finds_the_same(
    in_time: Site, spark_of: Spark
) -> None:
    config = load(in_time.config)
    before, sent = fingerprint(in_time.warehouse), published(in_time)
    report = fingerprint(in_time.home / "report")
    assert list(backfilled(config, spark_of, quietly)) == [1, 2, 3]
    anew = Path(place(config).warehouse)
    follows(anew, in_time.warehouse)
    assert (anew / "report" / "index.html").is_file()
    assert not (anew / "receipts").exists()
    assert list(backfilled(config, no_spark, quietly)) == []
    assert (fingerprint(in_time.warehouse), published(in_time)) == (before, sent)
    assert fingerprint(in_time.home / "report") == report


def test_a_backfill_under_another_configuration_stands_beside_the_first(
    in_time: Site, spark_of: Spark
) -> None:
    before = fingerprint(in_time.warehouse)
    loop = in_time.home / "loops" / "employment.yaml"
    kept = loop.read_text()
    told = yaml.safe_load(kept)
    told["outcome"]["window"] = "1d"
    try:
        loop.write_text(yaml.safe_dump(told))
        config = load(in_time.config)
        assert list(backfilled(config, spark_of, quietly, upto=1)) == [1]
    finally:
        loop.write_text(kept)
    anew = Path(place(config).warehouse)
    assert anew != Path(place(load(in_time.config)).warehouse)
    timings = {row["timing"] for row in arrow(anew / "outcomes").to_pylist()}
    assert "OUTSIDE" in timings
    assert fingerprint(in_time.warehouse) == before
