"""One measurement in a process and a JVM of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).parent.parent
HOME = ROOT / "build" / "bench"


class Work(Protocol):
    """What is to be measured, as plain fields; `folder` is its own."""

    way: str
    folder: str


def say(text: str) -> None:
    """Progress, on stderr."""
    print(f"· {text}", file=sys.stderr, flush=True)


def alone(part: str, job: Work, *, keep: bool = False) -> dict[str, Any]:
    """What `benchmarks.<part>.one` says of the job; what that wrote is removed, unless kept.

    Raises:
        SystemExit: it failed.
    """
    command = [sys.executable, "-m", f"benchmarks.{part}.one", json.dumps(vars(job))]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  # our own command
    if not keep:
        shutil.rmtree(job.folder, ignore_errors=True)
    if ran.returncode:
        raise SystemExit(f"{job} failed:\n{ran.stderr}")
    measured: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return measured
