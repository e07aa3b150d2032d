"""Killed again and again at random moments, over topics that keep growing: nothing is lost."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from processor.config import load
from processor.kafka.offsets import Broker
from processor.local.stack import Stack
from tests.e2e.job import kill, run, started
from tests.e2e.tables import TYPED, arrow
from tests.e2e.world import Site, World
from tests.kafka.capture import consumed

KILLS = int(os.environ.get("BFP_SOAK_KILLS", "3"))
MOST_RUNS = 5  # after the last kill: what was begun, and what has come since
SEED = 20_261_124
Place = tuple[str, int, int]


@pytest.fixture(scope="module")
def battered(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Site]:
    """A warehouse whose every run was killed, and that was then left to finish."""
    world = World.silent(stack, tmp_path_factory.mktemp("battered"))
    site = world.site("battered")
    messages = world.messages()
    share = len(messages) // (KILLS + 2)
    parts = [messages[n * share : (n + 1) * share] for n in range(KILLS + 1)]
    world.say(parts[0])
    begun = time.monotonic()
    assert run(site.config).returncode == 0
    longest, rng = time.monotonic() - begun, Random(SEED)
    for part in parts[1:]:
        with started(site.config) as (process, _):
            world.say(part)
            try:
                process.wait(rng.uniform(0, longest))
            except subprocess.TimeoutExpired:
                kill(process)
    world.say(messages[(KILLS + 1) * share :])
    for _ in range(MOST_RUNS):
        done = run(site.config)
        assert done.returncode == 0, done.stderr
        if '"nothing new"' in done.stdout:
            return world, site
    pytest.fail("there is always something new")


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


def test_every_record_is_in_the_log_once(battered: tuple[World, Site]) -> None:
    world, site = battered
    assert places(site.warehouse / "log") == Counter(on_kafka(world, site))


def test_every_record_is_one_typed_row(battered: tuple[World, Site]) -> None:
    _, site = battered
    typed = sum((places(site.warehouse / name, "origin") for name in TYPED), Counter[Place]())
    assert typed == places(site.warehouse / "log")


def test_batches_follow_each_other_without_gap_or_overlap(battered: tuple[World, Site]) -> None:
    _, site = battered
    last: dict[tuple[str, int], int] = {}
    rows = sorted(arrow(site.warehouse / "batches").to_pylist(), key=lambda row: row["batch_id"])
    for row in rows:
        one = row["topic"], row["partition"]
        assert row["start_offset"] == last.get(one, 0)
        last[one] = row["end_offset"]
    numbers = {row["batch_id"] for row in rows}
    assert numbers == set(range(1, len(numbers) + 1))
    for writer in ("log", "proofs", "outcomes"):
        kept = arrow(site.warehouse / writer).column("batch_id").to_pylist()
        assert set(kept) <= numbers
