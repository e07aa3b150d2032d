"""Killed again and again at random moments, over topics that keep growing: nothing is lost."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from processor.config import load
from processor.kafka.offsets import Broker
from processor.local.stack import Stack
from processor.simulate.message import Message
from tests.e2e.job import alone, command, kill, run
from tests.e2e.sameness import follows
from tests.e2e.tables import TYPED, arrow
from tests.e2e.test_commands import bfp
from tests.e2e.world import DATASETS, PERSONS, TRIGGERS, Site, World
from tests.kafka.capture import consumed

KILLS = int(os.environ.get("BFP_SOAK_KILLS", "3"))
MOST_ATTEMPTS = 3 * KILLS  # a run that ends before its moment comes was not killed
PERSONS_A_KILL = 8  # so that each attempt has a few new messages: else it would have no work
BACKFILL_LIMIT = 180.0 + 20 * KILLS  # seconds: there may be a batch for each kill
MOST_RUNS = 5  # after the last kill: what was begun, and what has come since
SEED = 20_261_124
Place = tuple[str, int, int]


class Battered(NamedTuple):
    """A warehouse of which many a run was killed, and that was then left to finish."""

    world: World
    site: Site
    kills: int


@pytest.fixture(scope="module")
def battered(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Battered:
    world = World.silent(stack, tmp_path_factory.mktemp("battered"))
    site = world.site("battered")
    messages = deque(world.messages(max(PERSONS, PERSONS_A_KILL * KILLS)))
    half = len(messages) // 2
    share = half // MOST_ATTEMPTS
    assert share, "a run with nothing new would be no run at work"
    world.say(taken_from(messages, half))
    begun = time.monotonic()
    assert run(site.config).returncode == 0
    longest, rng, kills, attempts = time.monotonic() - begun, Random(SEED), 0, 0
    while kills < KILLS and attempts < MOST_ATTEMPTS:
        attempts += 1
        kills += killed_within(site, rng.uniform(0, longest), world, taken_from(messages, share))
    world.say(messages)
    for _ in range(MOST_RUNS):
        done = run(site.config)
        assert done.returncode == 0, done.stderr
        if '"nothing new"' in done.stdout:
            return Battered(world, site, kills)
    pytest.fail("there is always something new")


def taken_from(messages: deque[Message], count: int) -> list[Message]:
    """The next messages, which are then no more among them."""
    return [messages.popleft() for _ in range(count)]


def killed_within(site: Site, seconds: float, world: World, meanwhile: list[Message]) -> bool:
    """Whether a run was killed, and did not end before; its topics grow while it is at work."""
    until = time.monotonic() + seconds
    with alone(site.config, command(site.config)) as (process, said):
        world.say(meanwhile)
        try:
            ended = process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return kill(process)
    assert ended == 0, said.read_text()
    return False


def on_kafka(world: World, site: Site) -> Iterator[Place]:
    config = load(site.config)
    for one in Broker(config.kafka).bounds(config.topics.by_topic()):
        for record in consumed(world.stack, one.topic, one.partition):
            yield record[:3]


def places(table: Path, column: str | None = None) -> Counter[Place]:
    """How often each record stands in a table."""
    names = ("topic", "partition", "offset")
    rows = arrow(table).select([column] if column else list(names)).to_pylist()
    return Counter(tuple((row[column] if column else row)[name] for name in names) for row in rows)


def test_as_many_runs_were_killed_as_were_to_be(battered: Battered) -> None:
    assert battered.kills == KILLS


def test_every_record_is_in_the_log_once(battered: Battered) -> None:
    world, site, _ = battered
    assert places(site.warehouse / "log") == Counter(on_kafka(world, site))


def test_every_record_is_one_typed_row(battered: Battered) -> None:
    site = battered.site
    typed = sum((places(site.warehouse / name, "origin") for name in TYPED), Counter[Place]())
    assert typed == places(site.warehouse / "log")


def test_batches_follow_each_other_without_gap_or_overlap(battered: Battered) -> None:
    site = battered.site
    last: dict[tuple[str, int], int] = {}
    rows = sorted(arrow(site.warehouse / "batches").to_pylist(), key=lambda row: row["batch_id"])
    for row in rows:
        one = row["topic"], row["partition"]
        assert row["start_offset"] == last.get(one, 0)
        last[one] = row["end_offset"]
    numbers = {row["batch_id"] for row in rows}
    assert numbers == set(range(1, len(numbers) + 1))


def test_everything_is_as_it_was_proven(battered: Battered) -> None:
    verified = bfp("verify", "--kafka", config=battered.site.config)
    assert (verified.code, verified.document["findings"]) == (0, [])
    assert verified.document["compared"] == sum(places(battered.site.warehouse / "log").values())


def test_what_follows_is_what_nobody_killed_finds_in_the_same_batches(battered: Battered) -> None:
    made = bfp("backfill", config=battered.site.config, limit=BACKFILL_LIMIT)
    assert made.code == 0, made.document
    numbers = set(arrow(battered.site.warehouse / "batches")["batch_id"].to_pylist())
    assert made.document["batches"] == sorted(numbers)
    follows(Path(made.document["warehouse"]), battered.site.warehouse)


def test_each_decision_to_fire_and_each_version_is_one_event(battered: Battered) -> None:
    world, site, _ = battered
    decisions = arrow(site.warehouse / "decisions").to_pylist()
    fired = sorted(row["trigger_id"] for row in decisions if row["state"] == "FIRED")
    assert fired
    assert sorted(event["trigger_id"] for event in world.read(site.outputs[TRIGGERS])) == fired
    versions = sorted(map(name_of, arrow(site.warehouse / "datasets").to_pylist()))
    assert sorted(map(name_of, world.read(site.outputs[DATASETS]))) == versions


def name_of(version: Mapping[str, Any]) -> tuple[str, str]:
    return version["dataset"], version["version"]
