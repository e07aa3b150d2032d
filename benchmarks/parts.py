"""What a part of the benchmarks is, and what is kept of one between runs."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pyspark

from benchmarks.alone import HOME, ROOT
from benchmarks.spread import GIB
from processor.local.jars import ROOTS
from processor.local.java import java
from processor.version import code_version

Measured = dict[str, Any]
"""What a part has measured, as JSON."""


@dataclass(frozen=True)
class Part:
    """A section of the page: its usual size, how it is measured, and what is said of it.

    `measure(events, rounds)` makes every measurement; `text(measured)` is the section below its
    heading and the line about the machine.
    """

    name: str
    heading: str
    events: int
    measure: Callable[[int, int], Measured]
    text: Callable[[Measured], Iterator[str]]


def keep(part: Part, events: int, rounds: int, measured: Measured) -> None:
    """Stores what was measured, for pages that are put together later."""
    HOME.mkdir(parents=True, exist_ok=True)
    told = {"machine": _machine(rounds), "measured": measured}
    _place(part, events).write_text(json.dumps(told, indent=1), encoding="utf-8")


def page(parts: Iterable[Part], events: int | None) -> str:
    """The whole page, of what was last measured of each part with so many events.

    Of a part that was not measured here, the page as it was is taken.
    """
    place = _page(events)
    before = place.read_text("utf-8") if place.is_file() else ""
    lines = ["# Benchmarks", "", "Written by `make bench`; not edited by hand."]
    for part in parts:
        lines += ["", f"## {part.heading}", "", *_section(part, events or part.events, before)]
    return "\n".join(lines) + "\n"


def written_to(events: int | None, text: str) -> str:
    """Writes the page: to `docs` at the usual size, else beside the measurements."""
    path = _page(events)
    path.write_text(text, encoding="utf-8")
    return str(path.relative_to(ROOT))


def _page(events: int | None) -> Path:
    return (HOME if events else ROOT / "docs") / "benchmarks.md"


def _section(part: Part, events: int, before: str) -> Iterator[str]:
    place = _place(part, events)
    if place.is_file():
        kept = json.loads(place.read_text("utf-8"))
        yield from (kept["machine"], "", *part.text(kept["measured"]))
        return
    _, found, rest = before.partition(f"\n## {part.heading}\n")
    if found:
        yield rest.partition("\n## ")[0].strip()
    else:
        yield f"Not measured: `make bench ONLY={part.name}` does it."


def _place(part: Part, events: int) -> Path:
    return HOME / f"{part.name}-{events}.json"


def _machine(rounds: int) -> str:
    roots = {each.name.split("_")[0]: each.version for group in ROOTS.values() for each in group}
    memory = psutil.virtual_memory().total / GIB
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, code {code_version()}: {psutil.cpu_count()} cores,"
        f" {memory:.0f} GiB, {platform.system()} {platform.machine()}; Python"
        f" {platform.python_version()}, Java {_java()}, Spark {pyspark.__version__}, Delta"
        f" {roots['delta-spark']}, Kafka {roots['kafka']}. {_turns(rounds)}"
    )


def _turns(rounds: int) -> str:
    if rounds == 1:
        return "One turn each."
    return f"Medians of {rounds} turns, with the least and the most, unless it says otherwise."


def _java() -> str:
    release = java().resolve().parent.parent / "release"
    if not release.is_file():
        return "of unknown version"
    lines = dict(line.split("=", 1) for line in release.read_text("utf-8").splitlines())
    return lines.get("JAVA_VERSION", "of unknown version").strip('"')
