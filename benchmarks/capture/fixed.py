"""What a run costs beyond its data: session, planning, stages, commits; and a run without any."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.capture.results import Fixed
from benchmarks.capture.settings import Job
from benchmarks.spread import Spread
from processor.stages import report
from processor.tables import RUNS
from processor.warehouse import Warehouse

FEW = 1_000  # events: next to nothing
FIRST = 1
"""The number of the batch that takes them."""
BFP = Path(sys.executable).parent / "bfp"
WITHOUT_ARCHIVE = "spark: {spark.driver.extraJavaOptions: '-Xshare:auto'}\n"
"""Replaces the options of the driver's JVM, the archive's among them."""

Say = Callable[[str], None]
Measure = Callable[[Job], dict[str, dict[str, float]]]


def measure(rounds: int, fresh: Callable[[str], Job], one: Measure, say: Say) -> Fixed:
    """Takes turns with and without the archive; `fresh` gives a job with a new, empty folder."""
    sessions: dict[bool, list[float]] = {True: [], False: []}
    runs: dict[bool, list[float]] = {True: [], False: []}
    rest: list[float] = []
    nothing_new: list[float] = []
    nothing_came: list[float] = []
    stages: dict[str, list[float]] = {}
    for _ in range(rounds):
        for archived in (True, False):
            job = fresh("session")
            job.more = "" if archived else WITHOUT_ARCHIVE
            sessions[archived].append(one(job)["start"]["seconds"])
            job = fresh("run")
            job.more = "" if archived else WITHOUT_ARCHIVE
            runs[archived].append(_run(job))
            if archived:
                rest.append(runs[True][-1] - _add(stages, job))
                nothing_new.append(_run(job))
                nothing_came.append(_run(job, "--until", datetime.now(UTC).isoformat()))
                if (taken := _batches(job)) != FIRST + 1:
                    raise SystemExit(f"the empty batch was not taken: the last is {taken}")
        say(f"a run of {FEW} events {runs[True][-1]:.1f} s, one of none {nothing_new[-1]:.1f} s")
    return Fixed(
        session=Spread.of(sessions[True]),
        session_without_archive=Spread.of(sessions[False]),
        small_run=Spread.of(runs[True]),
        small_run_without_archive=Spread.of(runs[False]),
        stages={name: statistics.median(seconds) for name, seconds in stages.items()},
        rest=Spread.of(rest),
        nothing_new=Spread.of(nothing_new),
        nothing_came=Spread.of(nothing_came),
    )


def _run(job: Job, *more: str) -> float:
    """Seconds of `bfp run`, from the outside."""
    command: Sequence[str] = (str(BFP), "run", "--config", str(job.file()), "--json", *more)
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=dict(os.environ))  # noqa: S603  # our own command
    return time.perf_counter() - begun


def _batches(job: Job) -> int:
    """How many batches the job has taken: those that wrote their report."""
    return Warehouse(job.config().warehouse).committed(RUNS, report.STAGE.writer(RUNS))


def _add(stages: dict[str, list[float]], job: Job) -> float:
    """Adds what each stage of the job's run took; returns the seconds of all together."""
    total = 0.0
    for row in Warehouse(job.config().warehouse).rows(RUNS).to_pylist():
        took = (row["ended_at"] - row["started_at"]).total_seconds()
        stages.setdefault(row["stage"], []).append(took)
        total += took
    return total
