"""Snapshot and validate beside the usual way, in one run."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from typing import Any

from benchmarks import poison
from benchmarks.alone import HOME, alone, say
from benchmarks.capture import fixed
from benchmarks.capture.page import text
from benchmarks.capture.results import Case, Results
from benchmarks.capture.settings import Job
from benchmarks.capture.topics import SKEWED, Load, broker, ensure
from benchmarks.parts import Measured, Part
from processor.config import KafkaConfig

EVENTS = 2_000_000  # of the small topics
LARGE = 5  # times as many


def measure(events: int, rounds: int) -> Measured:
    """Fills the topics and takes the turns, one way after the other."""
    with broker(HOME / "kafka", say) as kafka:
        found = _measured(kafka, events, rounds)
    clean, bad = poison.measured(say, min(events, poison.EVENTS), rounds)
    return asdict(Results(**found, clean=clean, poisoned=bad))


def _one(job: Job) -> Measured:
    return alone("capture", job)


def _measured(kafka: KafkaConfig, events: int, rounds: int) -> dict[str, Any]:
    even, skewed = Load("even", events), Load("skewed", events, SKEWED)
    large, few = Load("even", LARGE * events), Load("few", fixed.FEW)
    for load in (even, skewed, large, few):
        ensure(kafka, load, say)
    cases = {
        "naive": Case("usual way", "naive", even.topic, events),
        "even": Case("this software", "pipeline", even.topic, events),
        "skewed": Case("this software, 90 % in one partition", "pipeline", skewed.topic, events),
        "large": Case("this software, large", "pipeline", large.topic, large.events),
    }
    for number in range(1, rounds + 1):
        for case in cases.values():
            _turn(kafka, case, number)

    def fresh(way: str) -> Job:
        folder = HOME / "fixed"
        shutil.rmtree(folder, ignore_errors=True)
        return Job(way, few.topic, kafka.bootstrap_servers, str(folder))

    return {**cases, "fixed": fixed.measure(rounds, fresh, _one, say)}


def _turn(kafka: KafkaConfig, case: Case, number: int) -> None:
    folder = HOME / case.way
    shutil.rmtree(folder, ignore_errors=True)
    turn = _one(Job(case.way, case.topic, kafka.bootstrap_servers, str(folder)))
    if turn["rows"] != case.events:
        raise SystemExit(f"{case.name} wrote {turn['rows']:,} of {case.events:,} rows")
    case.turns.append(turn)
    steps = ", ".join(f"{name} {cost['seconds']:.1f} s" for name, cost in turn["steps"].items())
    say(f"turn {number}, {case.name}: {steps}")


PART = Part("capture", "Capture: from Kafka to typed events", EVENTS, measure, text)
