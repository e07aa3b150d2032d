"""What a part of the benchmarks is, and what is kept of one between runs."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pyspark

from benchmarks.alone import HOME, ROOT
from benchmarks.spread import GIB
from processor.local.jars import ROOTS
from processor.local.java import java
from processor.version import code_version

LEAST_TURNS = 3
"""Of fewer, a median says nothing, and the page in `docs` stays as it is."""
CPUS = Path("/proc/cpuinfo")

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


class Size(NamedTuple):
    """How much is measured: so many events (None: each part's usual number), so many turns."""

    events: int | None
    rounds: int

    def of(self, part: Part) -> int:
        """How many events of one part."""
        return self.events or part.events

    @property
    def usual(self) -> bool:
        """Whether what comes of it belongs into `docs`."""
        return self.events is None and self.rounds >= LEAST_TURNS


def keep(part: Part, size: Size, measured: Measured) -> None:
    """Stores what was measured, for pages that are put together later."""
    HOME.mkdir(parents=True, exist_ok=True)
    told = {"machine": _machine(size.rounds), "measured": measured}
    _place(part, size).write_text(json.dumps(told, indent=1), encoding="utf-8")


def page(parts: Iterable[Part], size: Size) -> str:
    """The whole page, of what was last measured of each part at this size.

    Of a part that was not measured here, the page as it was is taken.
    """
    place = _page(size)
    before = place.read_text("utf-8") if place.is_file() else ""
    lines = ["# Benchmarks", "", "Written by `make bench`; not edited by hand."]
    for part in parts:
        lines += ["", f"## {part.heading}", "", *_section(part, size, before)]
    return "\n".join(lines) + "\n"


def written_to(size: Size, text: str) -> str:
    """Writes the page: to `docs` at the usual size, else beside the measurements."""
    path = _page(size)
    path.write_text(text, encoding="utf-8")
    return str(path.relative_to(ROOT))


def _page(size: Size) -> Path:
    return (ROOT / "docs" if size.usual else HOME) / "benchmarks.md"


def _section(part: Part, size: Size, before: str) -> Iterator[str]:
    place = _place(part, size)
    if place.is_file():
        kept = json.loads(place.read_text("utf-8"))
        yield from (kept["machine"], "", *part.text(kept["measured"]))
        return
    _, found, rest = before.partition(f"\n## {part.heading}\n")
    if found:
        yield rest.partition("\n## ")[0].strip()
    else:
        yield f"Not measured: `make bench ONLY={part.name}` does it."


def _place(part: Part, size: Size) -> Path:
    return HOME / f"{part.name}-{size.of(part)}-{size.rounds}.json"


def _machine(rounds: int) -> str:
    roots = {each.name.split("_")[0]: each.version for group in ROOTS.values() for each in group}
    memory = psutil.virtual_memory().total / GIB
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, code {code_version()}: {psutil.cpu_count()} cores"
        f" ({_cpu()}), {memory:.0f} GiB, {platform.system()} {platform.machine()}; Python"
        f" {platform.python_version()}, Java {_java()}, Spark {pyspark.__version__}, Delta"
        f" {roots['delta-spark']}, Kafka {roots['kafka']}. {_turns(rounds)}"
    )


def _cpu() -> str:
    """The model of the first core, where the system tells it."""
    lines = CPUS.read_text("utf-8").splitlines() if CPUS.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "of unknown model"


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
