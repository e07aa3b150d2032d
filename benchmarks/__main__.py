"""Snapshot and validate beside the usual way, in one run: `make bench`.

At the usual size the page goes to `docs/benchmarks.md`, else to `build/bench/benchmarks.md`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import fixed
from benchmarks.page import page
from benchmarks.results import Case, Results
from benchmarks.settings import Job
from benchmarks.topics import SKEWED, Load, broker, ensure
from processor.config import KafkaConfig

ROOT = Path(__file__).parent.parent
HOME = ROOT / "build" / "bench"
USUAL_EVENTS = 2_000_000
LARGE = 5  # times as many


def say(text: str) -> None:
    """Progress, on stderr."""
    print(f"· {text}", file=sys.stderr, flush=True)


def one(job: Job) -> dict[str, Any]:
    """Makes one measurement in a process of its own; what it wrote is removed."""
    command = [sys.executable, "-m", "benchmarks.one", json.dumps(vars(job))]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  # our own command
    shutil.rmtree(job.folder, ignore_errors=True)
    if ran.returncode:
        raise SystemExit(f"{job.way} on {job.topic} failed:\n{ran.stderr}")
    measured: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return measured


def main() -> None:
    """Runs the benchmarks and writes the page."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--events", type=int, default=USUAL_EVENTS, help="of the small topics")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with broker(HOME / "kafka", say) as kafka:
        results = measured(kafka, options.events, options.rounds)
    text = page(results, options.rounds)
    usual = options.events == USUAL_EVENTS
    place = (ROOT / "docs" if usual else HOME) / "benchmarks.md"
    place.write_text(text, encoding="utf-8")
    print(text)
    say(f"written to {place.relative_to(ROOT)}")


def measured(kafka: KafkaConfig, events: int, rounds: int) -> Results:
    """Fills the topics and takes the turns, one way after the other."""
    even, skewed = Load("even", events), Load("skewed", events, SKEWED)
    large, few = Load("even", LARGE * events), Load("few", fixed.FEW)
    for load in (even, skewed, large, few):
        ensure(kafka, load, say)
    cases = (
        Case("usual way", "naive", even.topic, events),
        Case("this software", "pipeline", even.topic, events),
        Case("this software, 90 % in one partition", "pipeline", skewed.topic, events),
        Case("this software, large", "pipeline", large.topic, large.events),
    )
    for number in range(1, rounds + 1):
        for case in cases:
            _turn(kafka, case, number)

    def fresh(way: str) -> Job:
        folder = HOME / "fixed"
        shutil.rmtree(folder, ignore_errors=True)
        return Job(way, few.topic, kafka.bootstrap_servers, str(folder))

    return Results(*cases, fixed=fixed.measure(rounds, fresh, one, say))


def _turn(kafka: KafkaConfig, case: Case, number: int) -> None:
    folder = HOME / case.way
    shutil.rmtree(folder, ignore_errors=True)
    turn = one(Job(case.way, case.topic, kafka.bootstrap_servers, str(folder)))
    if turn["rows"] != case.events:
        raise SystemExit(f"{case.name} wrote {turn['rows']:,} of {case.events:,} rows")
    case.turns.append(turn)
    steps = ", ".join(f"{name} {cost['seconds']:.1f} s" for name, cost in turn["steps"].items())
    say(f"turn {number}, {case.name}: {steps}")


if __name__ == "__main__":
    main()
