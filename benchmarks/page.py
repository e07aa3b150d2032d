"""The page of results, in Markdown, written from the measurements alone."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from datetime import UTC, datetime

import psutil
import pyspark

from benchmarks.fixed import FEW
from benchmarks.results import GIB, Case, Results, Spread
from benchmarks.targets import Judged
from processor.local.jars import ROOTS
from processor.local.java import java
from processor.version import code_version

SAID = {True: "reached", False: "**missed**", None: "not measured"}
STEPS = {"naive": ("together",), "pipeline": ("snapshot", "validate", "together")}
HEAD = """# Benchmarks

Written by `make bench`; not edited by hand.

Events are inference events of about 450 bytes in four partitions, without headers. The usual way
is a streaming query with `availableNow`, `from_avro` and a Delta append in `foreachBatch`, with the
defaults of Spark and Delta; it keeps no bytes, proves nothing and checks no event. Beside it are
this software's `snapshot` (landing and the proof) and `validate` (decoding, checks, typed table),
run as `bfp run` runs them. Each line of a turn is a process and a JVM of its own, so that all pay
for warming up and memory is each one's; the start of the session is not in the times. Turns
alternate. Broker, driver and executor share the machine."""


def page(results: Results, rounds: int) -> str:
    """The whole page."""
    judged = results.judged()
    parts = (
        [HEAD, "", *_machine(rounds)],
        ["", "## Times", "", *_times(results)],
        ["", "## Targets", "", *_targets(judged)],
        ["", "## What a run costs beyond its data", "", *_fixed(results)],
    )
    return "\n".join(line for part in parts for line in part) + "\n"


def _machine(rounds: int) -> Iterator[str]:
    roots = {each.name.split("_")[0]: each.version for group in ROOTS.values() for each in group}
    memory = psutil.virtual_memory().total / GIB
    yield (
        f"{datetime.now(UTC):%Y-%m-%d}, code {code_version()}: {psutil.cpu_count()} cores,"
        f" {memory:.0f} GiB, {platform.system()} {platform.machine()}; Python"
        f" {platform.python_version()}, Java {_java()}, Spark {pyspark.__version__}, Delta"
        f" {roots['delta-spark']}, Kafka {roots['kafka']}. Medians of {rounds} turns, with the"
        " least and the most."
    )


def _java() -> str:
    release = java().resolve().parent.parent / "release"
    if not release.is_file():
        return "of unknown version"
    lines = dict(line.split("=", 1) for line in release.read_text("utf-8").splitlines())
    return lines.get("JAVA_VERSION", "of unknown version").strip('"')


def _times(results: Results) -> Iterator[str]:
    yield "| way | step | events | seconds | rows/s | CPU seconds | peak memory of the JVM, GiB |"
    yield "|---|---|---:|---:|---:|---:|---:|"
    for case in results.cases:
        for step in STEPS[case.way]:
            yield _time(case, step)


def _time(case: Case, step: str) -> str:
    took, cpu, peak = case.seconds(step), case.cpu(step), case.peak_gib()
    memory = f"{peak:.2f}" if peak and step == "together" else ""
    rate = f"{case.events / took.median:,.0f}"
    cells = (case.name, step, f"{case.events:,}", _spread(took), rate, _spread(cpu), memory)
    return f"| {' | '.join(cells)} |"


def _spread(value: Spread) -> str:
    return f"{value.median:.1f} ({value.least:.1f} to {value.most:.1f})"


def _targets(judged: list[Judged]) -> Iterator[str]:
    yield "| target | bound | measured | |"
    yield "|---|---|---:|---|"
    for each in judged:
        measured = "" if each.measured is None else f"{each.measured:.2f}"
        yield f"| {each.what} | {each.bound} | {measured} | {SAID[each.reached]} |"
    missed = [each.what for each in judged if each.reached is False]
    yield ""
    yield f"Missed: {'; '.join(missed)}." if missed else "No target is missed."


def _fixed(results: Results) -> Iterator[str]:
    fixed = results.fixed
    yield "| what | seconds | without the archive of classes |"
    yield "|---|---:|---:|"
    rows = (
        ("a session", fixed.session, _spread(fixed.session_without_archive)),
        (f"`bfp run`, {FEW:,} events", fixed.small_run, _spread(fixed.small_run_without_archive)),
        ("`bfp run`, nothing new (no JVM)", fixed.empty_run, ""),
    )
    for name, spread, other in rows:
        yield f"| {name} | {_spread(spread)} | {other} |"
    named = ", ".join(f"{name} {seconds:.1f}" for name, seconds in fixed.stages.items())
    yield ""
    yield f"Of the run of {FEW:,} events, by stage, the session being part of the first: {named}."
