"""A job that is killed after each commit and run again ends where an undisturbed one ends.

Its topics grow meanwhile: what it began keeps the ends that were planned.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient

from processor.batches import Batch
from processor.cli import STOPPED
from processor.config import load
from processor.local.attached import TERMINATED
from processor.local.stack import Stack
from processor.stages.pipeline import PLAN, STAGES, Planned, next_batch
from processor.warehouse import Warehouse
from tests.e2e.job import (
    LIMIT,
    POLL_SECONDS,
    Commit,
    committed,
    dies_of_a_commit,
    gone,
    kill_when,
    run,
    started,
)
from tests.e2e.sameness import same
from tests.e2e.tables import arrow
from tests.e2e.world import DATASETS, TRIGGERS, Site, World
from tests.kafka.reader import groups, plain

ATTEMPTS = 10
POINTS = [("batches", PLAN), *((t.name, each.writer(t)) for each in STAGES for t in each.writes)]
"""Table and writer of every commit that makes a batch, in their order."""
KEPT = ("schemas", None)
"""What a registry said is kept before it is used, by whichever run asked."""
MOST_DEATHS = 2 * len(POINTS)
MEANWHILE = 2  # messages after each death


class Killed(NamedTuple):
    """A warehouse of runs that each died of one more commit; `whole` is of one that nobody killed.

    Both took the same topics; while the first was at it, `meanwhile` more messages were said.
    """

    world: World
    site: Site
    whole: Site
    deaths: list[Commit]
    meanwhile: int


@pytest.fixture(scope="module")
def killed(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    world = World.silent(stack, tmp_path_factory.mktemp("commits"))
    messages = world.messages()
    before = len(messages) - MOST_DEATHS * MEANWHILE
    world.say(messages[:before])
    site, whole = world.site("killed"), world.site("unharmed")
    done = run(whole.config)
    assert done.returncode == 0, done.stderr
    deaths: list[Commit] = []
    while POINTS[-1] not in deaths and len(deaths) < MOST_DEATHS:
        deaths.append(dies_of_a_commit(site))
        world.say(islice(messages, before, before + MEANWHILE))
        before += MEANWHILE
    return Killed(world, site, whole, deaths, MEANWHILE * len(deaths))


def test_each_run_died_of_another_commit_until_there_was_no_more(killed: Killed) -> None:
    assert [each for each in killed.deaths if each in POINTS] == POINTS
    assert {*killed.deaths} - {*POINTS} == {KEPT}


def test_killed_after_each_commit_the_tables_are_the_same(killed: Killed) -> None:
    same(killed.site, killed.whole)
    assert not list(killed.site.warehouse.glob("dataset_files/*/*.part"))


def test_killed_after_each_commit_there_is_one_event_each(killed: Killed) -> None:
    for site in (killed.site, killed.whole):
        one_of_each(killed.world, site)


def test_what_was_said_between_deaths_is_the_next_batch(killed: Killed) -> None:
    one, other = (next_of(site) for site in (killed.site, killed.whole))
    assert (one.id, one.ranges) == (other.id, other.ranges)
    assert (one.id, one.expected) == (2, killed.meanwhile)


def next_of(site: Site) -> Batch:
    """The batch that a run would take."""
    config = load(site.config)
    planned = next_batch(config, Warehouse(config.warehouse), "")
    assert isinstance(planned, Planned)
    assert not planned.stored
    return planned.batch


def one_of_each(world: World, site: Site) -> None:
    """One trigger and one announcement, as the tables have them, with registered schemas."""
    (version,) = arrow(site.warehouse / "datasets").to_pylist()
    (fired,) = (
        row for row in arrow(site.warehouse / "decisions").to_pylist() if row["state"] == "FIRED"
    )
    (trigger,) = world.read(site.outputs[TRIGGERS])
    (announced,) = world.read(site.outputs[DATASETS])
    assert trigger["trigger_id"] == trigger["event_id"] == fired["trigger_id"]
    assert (trigger["reason"], trigger["state"]) == ("VOLUME", "FIRED")
    assert trigger["dataset_uri"] == version["uri"]
    same_names = ("dataset", "version", "content_sha256", "row_count", "manifest_uri")
    assert {n: announced[n] for n in same_names} == {n: version[n] for n in same_names}
    manifest = json.loads(Path(version["manifest_uri"]).read_text(encoding="utf-8"))
    assert announced["sources"] == manifest["sources"] != []
    receipts = arrow(site.warehouse / "receipts").to_pylist()
    assert {row["event_id"] for row in receipts} == {trigger["event_id"], announced["event_id"]}
    registry = SchemaRegistryClient({"url": world.stack.registry_url})
    subjects = set(registry.get_subjects())
    assert {f"{topic}-value" for topic in site.outputs.values()} <= subjects


def test_with_nothing_new_a_run_says_so_and_needs_no_java(
    undisturbed: Site, tmp_path: Path
) -> None:
    before = arrow(undisturbed.warehouse / "runs").num_rows
    done = run(undisturbed.config, environment={"JAVA_HOME": str(tmp_path), "PATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "batch": None,
        "outcome": "nothing new",
        "stages": [],
        "batches": [],
    }
    assert arrow(undisturbed.warehouse / "runs").num_rows == before


def test_a_run_is_in_no_group_of_consumers_and_commits_no_offset(
    world: World, undisturbed: Site
) -> None:
    config = load(undisturbed.config)
    topics = {*config.topics.by_topic(), *undisturbed.outputs.values()}
    for group, read in groups(world.stack.bootstrap_servers).items():
        assert not read & topics, group
        assert not group.startswith(("bfp", "spark")), group


@pytest.mark.parametrize("whole", [True, False], ids=["the group", "the command"])
def test_a_run_that_is_told_to_end_does_so_and_says_no_more(world: World, whole: bool) -> None:  # noqa: FBT001  # of a parameter
    site = world.site(f"ended-{whole}")
    landed = partial(committed, site.warehouse, "log", "snapshot/log")
    with started(site.config) as (process, said):
        until = time.monotonic() + LIMIT
        while not landed():
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < until, said.read_text()
            time.sleep(POLL_SECONDS)
        (os.killpg if whole else os.kill)(process.pid, signal.SIGTERM)
        assert process.wait(LIMIT) == TERMINATED, said.read_text()
        assert gone(process.pid)
    for noise in ("Traceback", "a bug", " ERROR "):
        assert noise not in said.read_text()
    assert said.read_text().endswith(f"{STOPPED}\n")


def test_killed_between_sending_and_the_receipt_there_is_still_one_event(
    world: World, undisturbed: Site
) -> None:
    for number in range(ATTEMPTS):
        site = unpublished(world, undisturbed, f"unpublished{number}")
        consumer = plain(world.stack.bootstrap_servers)
        arrived = one_on_each(consumer, set(site.outputs.values()))
        kill_when(site.config, arrived, "--stage", "publish")
        consumer.close()
        if not committed(site.warehouse, "receipts", "publish/receipts"):
            break
    else:
        pytest.fail(f"in {ATTEMPTS} attempts the receipts were always faster than the kill")
    again = run(site.config, "--stage", "publish")
    assert again.returncode == 0, again.stderr
    assert "publishing 0 events" in again.stderr
    one_of_each(world, site)


def one_on_each(consumer: Consumer, topics: set[str]) -> Callable[[], bool]:
    """Whether an event has arrived on each of the topics, whenever it is asked."""
    awaited = set(topics)
    consumer.assign([TopicPartition(topic, 0, 0) for topic in topics])

    def arrived() -> bool:
        message = consumer.poll(0)
        if message is not None and message.error() is None:
            awaited.discard(message.topic())
        return not awaited

    return arrived


def unpublished(world: World, like: Site, name: str) -> Site:
    """A copy of a finished warehouse, as it was before it published."""
    site = world.site(name)
    shutil.copytree(like.warehouse, site.warehouse, dirs_exist_ok=True)
    shutil.rmtree(site.warehouse / "receipts")
    return site
