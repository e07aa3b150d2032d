"""What a run costs beyond its data: session, planning, stages, commits; and a run without any."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.capture.results import Fixed
from benchmarks.capture.settings import Job
from benchmarks.spread import Spread
from processor.tables import RUNS
from processor.warehouse import Warehouse

FEW = 1_000  # events: next to nothing
BFP = Path(sys.executable).parent / "bfp"
WITHOUT_ARCHIVE = "spark: {spark.driver.extraJavaOptions: '-Xshare:auto'}\n"
"""Replaces the options of the driver's JVM, the archive's among them."""

Say = Callable[[str], None]
Measure = Callable[[Job], dict[str, dict[str, float]]]


def measure(rounds: int, fresh: Callable[[str], Job], one: Measure, say: Say) -> Fixed:
    """Takes turns with and without the archive; `fresh` gives a job with a new, empty folder."""
    sessions: dict[bool, list[float]] = {True: [], False: []}
    runs: dict[bool, list[float]] = {True: [], False: []}
    empty: list[float] = []
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
                _add(stages, job)
                empty.append(_run(job))
        say(f"a run of {FEW} events {runs[True][-1]:.1f} s, one of none {empty[-1]:.1f} s")
    return Fixed(
        session=Spread.of(sessions[True]),
        session_without_archive=Spread.of(sessions[False]),
        small_run=Spread.of(runs[True]),
        small_run_without_archive=Spread.of(runs[False]),
        stages={name: statistics.median(seconds) for name, seconds in stages.items()},
        empty_run=Spread.of(empty),
    )


def _run(job: Job) -> float:
    """Seconds of `bfp run`, from the outside."""
    command: Sequence[str] = (str(BFP), "run", "--config", str(job.file()), "--json")
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=dict(os.environ))  # noqa: S603  # our own command
    return time.perf_counter() - begun


def _add(stages: dict[str, list[float]], job: Job) -> None:
    for row in Warehouse(job.config().warehouse).rows(RUNS).to_pylist():
        took = (row["ended_at"] - row["started_at"]).total_seconds()
        stages.setdefault(row["stage"], []).append(took)
