"""What a process and its JVM cost, as the system counts it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

JAVA = "java"
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_KIB = 1024


@dataclass
class Cost:
    """Wall and CPU time in seconds; the CPU time of the JVM is in it."""

    seconds: float = 0.0
    cpu: float = 0.0


@contextmanager
def metered() -> Iterator[Cost]:
    """The cost of the block, known when it has ended."""
    cost = Cost()
    begun, cpu = time.perf_counter(), _cpu_seconds()
    yield cost
    cost.seconds, cost.cpu = time.perf_counter() - begun, _cpu_seconds() - cpu


def peak_rss() -> int | None:
    """The most memory in bytes that the JVM below this process has had; None where not counted."""
    jvms = [each for each in psutil.Process().children(recursive=True) if each.name() == JAVA]
    peaks = [found for each in jvms if (found := _peak(each.pid)) is not None]
    return max(peaks, default=None)


def whole_peak_rss() -> int | None:
    """The most memory in bytes that this process and each below it have had, added up.

    Those that have ended are not in it; peaks at different times make it too large, never too
    small. None where not counted.
    """
    own = psutil.Process()
    every = (own, *own.children(recursive=True))
    peaks = [found for each in every if (found := _peak(each.pid)) is not None]
    return sum(peaks) or None


def _peak(pid: int) -> int | None:
    status = Path("/proc", str(pid), "status")
    said = _PEAK.search(status.read_text(encoding="ascii")) if status.is_file() else None
    return int(said[1]) * _KIB if said else None


def _cpu_seconds() -> float:
    own = psutil.Process()
    times = [each.cpu_times() for each in (own, *own.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))
