"""What an operator does, command by command: late, with defects, after a loss, on a topic anew."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Any

import pytest
import yaml
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from processor.avro.defects import MEANING, TOO_LARGE
from processor.config import Config, load
from processor.kafka.offsets import Broker
from processor.local.stack import Stack
from processor.simulate.topics import create_topics
from tests.e2e.test_commands import Ended, bfp, ran
from tests.e2e.world import Site, World
from tests.kafka.capture import until
from tests.kafka.test_offsets import deleted

LIMIT = 60.0  # seconds
NO_JAVA = "/none"
SINCE, UNTIL = "2016-07-03T00:00Z", "2016-07-11T00:00Z"
BOUNDARIES = ["2016-07-04T00:00:00+00:00", "2016-07-11T00:00:00+00:00"]
"""Mondays: half the year, and a week."""
UNREAD = 20  # inferences after these: they are deleted before a batch takes them
SMALL = ("--set", "limits.record_bytes=300")
"""Inferences are larger."""
ENDED = round(datetime.fromisoformat(BOUNDARIES[-1]).timestamp() * 1_000_000)
CATCH_UP = ("run", "--catch-up", "--since", SINCE, "--until", UNTIL, *SMALL)


@pytest.fixture(scope="module")
def behind(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Site]:
    """A world of which nothing is taken yet, to be taken by the week."""
    world = World.silent(stack, tmp_path_factory.mktemp("operated"))
    world.say(each for each in world.messages() if each.timestamp < ENDED)
    site = world.site("operated")
    told = yaml.safe_load(site.config.read_text())
    told["schedule"] = {"every": "week", "zone": "UTC", "weekday": "monday"}
    site.config.write_text(yaml.safe_dump(told))
    return world, site


def test_a_warehouse_is_brought_through_all_that_may_stop_it(behind: tuple[World, Site]) -> None:
    world, site = behind
    config = load(site.config)

    # Two boundaries were missed, and a limit that is too small stops the first of them.
    stopped = bfp(*CATCH_UP, config=site.config)
    assert (stopped.code, stopped.document["error"]) == (3, "DataRefused")
    taken = bfp(*CATCH_UP, "--accept-defects", config=site.config)
    assert taken.code == 0, taken.document
    ends = [(each["batch"], each["cut_time"], each["resumed"]) for each in batches_of(taken)]
    assert ends == [(1, BOUNDARIES[0], True), (2, BOUNDARIES[1], False)]
    assert all(each["landed"] for each in batches_of(status_of(site)))

    # What is in quarantine is shown with an example of each code, and some of it replayed.
    codes = {(each["table"], each["code"]): each for each in quarantine(site)["codes"]}
    large = codes["inferences", TOO_LARGE]
    example = "{topic}/{partition}/{offset}".format(**large["example"])
    shown = ran("status", config=site.config, path=NO_JAVA)
    assert shown.returncode == 0, shown.stderr
    (line,) = (line for line in shown.stdout.splitlines() if example in line)
    told = f"{large['n']:,}, the first at {example}: {MEANING[TOO_LARGE]}"
    assert line == f"  inferences, {TOO_LARGE}: {told}"
    first = large["example"]["offset"]
    span = f"{config.topics.inferences}/{large['example']['partition']}/{first}-{first + 2}"
    replayed = bfp("replay", "--code", TOO_LARGE, "--range", span, config=site.config)
    assert (replayed.code, replayed.document["batch"]) == (0, 3)
    assert quarantine(site)["recovered"] == 2

    # Records are deleted unread, and another topic is made anew: each is accepted by its own flag.
    later = (each for each in world.messages() if each.timestamp >= ENDED)
    world.say(islice((each for each in later if each.table == "inferences"), UNREAD))
    deleted_all(config, config.topics.inferences)
    made_anew(config, config.topics.sessions)
    anew = bfp("run", config=site.config, path=NO_JAVA)
    assert (anew.code, anew.document["error"]) == (4, "LossDetected")
    assert config.topics.sessions in anew.document["what"]
    lost = bfp("run", "--accept-new-topic", config=site.config)
    assert (lost.code, lost.document["error"]) == (4, "LossDetected")
    assert config.topics.inferences in lost.document["what"]
    gone_on = bfp("run", "--accept-loss", config=site.config)
    assert (gone_on.code, gone_on.document["outcome"]) == (0, "done")
    status = status_of(site)
    assert (status.document["last_batch"], status.document["pending_stages"]) == (4, [])
    assert [each["lost"] for each in batches_of(status)] == [0, 0, 0, UNREAD]


def status_of(site: Site) -> Ended:
    return bfp("status", config=site.config, path=NO_JAVA)


def quarantine(site: Site) -> dict[str, Any]:
    told: dict[str, Any] = status_of(site).document["quarantine"]
    return told


def batches_of(ended: Ended) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = ended.document["batches"]
    return listed


def deleted_all(config: Config, topic: str) -> None:
    """Retention, made to happen: of the topic nothing is left."""
    ends = {p: now.high_watermark for p, now in Broker(config.kafka).bounds([topic]).items()}
    gone = [TopicPartition(topic, one.partition, end) for one, end in ends.items()]
    admin = AdminClient({"bootstrap.servers": config.kafka.bootstrap_servers})
    for done in admin.delete_records(gone).values():
        done.result(LIMIT)


def made_anew(config: Config, topic: str) -> None:
    """Deletes the topic, and makes another of its name."""
    deleted(config.kafka, topic)
    until(lambda: not Broker(config.kafka).bounds([topic]), "the topic is gone")
    create_topics(config.kafka, config.topics, config.outputs)
