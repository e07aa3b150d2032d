"""A registry that is killed before a run, or in the middle of one, against a real one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from processor.avro import defects
from processor.avro.contracts import contract
from processor.errors import Unavailable
from processor.local.places import cache_dir
from processor.local.registry import start_registry, url_of
from processor.local.service import Service, answers, wait_for
from processor.local.stack import Stack
from processor.stages.base import Accepted
from tests.kafka.lab import LIMIT, Lab, Record, answered, body, by_number, registered, said, wider

ROWS, RECORD = 10, "InferenceEvent"


@dataclass
class Registry:
    """A registry of this test's own, which comes back at the same address with what it held."""

    folder: Path
    services: list[Service] = field(default_factory=list)

    def start(self) -> str:
        service = start_registry(self.folder, cache_dir(), lambda _: None, owned=True)
        self.services.append(service)
        return url_of(service)

    def kill(self) -> None:
        """With its guard, and without a chance to say goodbye to anybody."""
        while self.services:
            _kill(self.services.pop())


def _kill(service: Service) -> None:
    os.killpg(service.pid, signal.SIGKILL)
    assert wait_for(lambda: not (service.alive or answers(service.ports["http"])), LIMIT)


@contextmanager
def registry_in(folder: Path) -> Iterator[Registry]:
    registry = Registry(folder)
    try:
        yield registry
    finally:
        registry.kill()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with registry_in(tmp_path / "registry") as found:
        yield found


def forgiving(spark: SparkSession, stack: Stack, url: str, home: Path) -> Lab:
    """A lab whose batches go on though the larger part of their records may be quarantined."""
    settings = {"defects": {"max_share": 0.6, "min_rows": 1}}
    return Lab(spark, stack.bootstrap_servers, url, home, settings=settings).create()


def say_events(lab: Lab, number: int, text: str, mark: str) -> set[str]:
    """Inferences, all of them answered; their ids."""
    assert lab.registry is not None
    truth = contract("GroundTruth").text
    truths = registered(lab.registry, lab.topic("ground_truth"), truth)
    names = [f"{mark} {n}" for n in range(ROWS)]
    lab.send("inferences", [Record(by_number(number, body(said(n), text))) for n in names])
    lab.send("ground_truth", [Record(by_number(truths, body(answered(n), truth))) for n in names])
    return set(names)


def after(word: str, act: Callable[[], None], lab: Lab) -> Callable[[str], None]:
    """Lets something happen when the run says a word."""

    def say(text: str) -> None:
        lab.said.append(text)
        if word in text:
            act()

    return say


def outcomes(lab: Lab, batch: int) -> set[str]:
    return {row["inference_id"] for row in lab.rows("outcomes") if row["batch_id"] == batch}


def published(lab: Lab, batch: int) -> list[str]:
    return sorted(row["record"] for row in lab.rows("receipts") if row["batch_id"] == batch)


BOTH = ["DatasetPublished", "RetrainingTrigger"]


def test_known_schemas_outlive_the_registry_and_unknown_ones_wait_for_it(
    stack: Stack, spark: SparkSession, registry: Registry, tmp_path: Path
) -> None:
    url = registry.start()
    lab = forgiving(spark, stack, url, tmp_path / "home")
    topic, text, later = lab.topic("inferences"), contract(RECORD).text, wider(RECORD)
    known, unknown = registered(url, topic, text), registered(url, topic, later)

    # The first run: killed after everything was decoded, before it was published.
    first = say_events(lab, known, text, "first")
    with pytest.raises(Unavailable, match=url) as stopped:
        lab.run(after("joining answers", registry.kill, lab))
    assert stopped.value.exit_code == 75
    assert lab.codes() == []
    assert outcomes(lab, 1) == first
    assert lab.rows("receipts") == []
    assert registry.start() == url
    done = lab.run()
    assert done is not None
    assert (done.batch, published(lab, 1)) == (1, BOTH)

    # The second: there is none from its beginning to its end.
    second = say_events(lab, known, text, "second")
    third = say_events(lab, unknown, later, "third")
    registry.kill()
    lab.said.clear()
    done = lab.run()
    assert done is not None
    assert done.batch == 2
    assert outcomes(lab, 2) == second
    assert lab.codes(2) == [defects.SCHEMA_UNAVAILABLE] * ROWS
    assert "DatasetPublished" in published(lab, 2), "the ids of what is published are kept"
    assert any(url in text and f"confluent:{unknown}" in text for text in lab.said)

    # A replay without it is no news; with it, what it knows becomes known.
    assert lab.replay().taken is None
    assert registry.start() == url
    replayed = lab.replay()
    assert replayed.taken is not None
    assert outcomes(lab, 3) == third
    assert lab.codes(3) == []
    kept = [(row["registry"], row["schema_ref"]) for row in lab.rows("schemas")]
    assert len(kept) == len(set(kept))
    assert {of for of, _ in kept} == {url}

    # What another registry said is not taken for what this one would say.
    registry.kill()
    elsewhere = lab.with_settings(registry={"url": "http://127.0.0.1:1"})
    lab.send("inferences", [Record(by_number(known, body(said("fourth"), text)))])
    assert elsewhere.run(accepted=Accepted(defects=True)) is not None
    assert lab.codes(4) == [defects.SCHEMA_UNAVAILABLE]


def test_a_registry_that_dies_between_landing_and_decoding_is_not_missed(
    stack: Stack, spark: SparkSession, registry: Registry, tmp_path: Path
) -> None:
    """What it said in a run before is known; what it was never asked waits for it."""
    url = registry.start()
    lab = forgiving(spark, stack, url, tmp_path / "home")
    text, later = contract(RECORD).text, wider(RECORD)
    known, unknown = (registered(url, lab.topic("inferences"), each) for each in (text, later))
    say_events(lab, known, text, "first")
    assert lab.run() is not None

    second = say_events(lab, known, text, "second")
    third = say_events(lab, unknown, later, "third")
    done = lab.run(after("validate:", registry.kill, lab))
    assert done is not None
    assert (done.batch, registry.services) == (2, [])
    assert outcomes(lab, 2) == second
    assert lab.codes(2) == [defects.SCHEMA_UNAVAILABLE] * ROWS
    assert "DatasetPublished" in published(lab, 2)

    assert registry.start() == url
    assert lab.replay().taken is not None
    assert outcomes(lab, 3) == third
