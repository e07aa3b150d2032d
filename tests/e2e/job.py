"""The job as a scheduler runs it: a process of its own, and killed like one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.small import AROUND

LIMIT = 180.0  # seconds that a run may take
POLL_SECONDS = 0.001
NICE = ("nice", "-n", "19")  # who watches gets the processor before who is watched


def command(config: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "processor", "run", "--config", str(config), "--json", *more]


def run(
    config: Path, *more: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the job to its end."""
    return subprocess.run(
        command(config, *more),
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
        env={**os.environ, **AROUND, **(environment or {})},
    )


def kill_when(config: Path, condition: Callable[[], bool], *more: str) -> None:
    """Runs the job, and kills it and all its children at once as soon as the condition holds."""
    with started(config, *more) as (process, said):
        until = time.monotonic() + LIMIT
        while not condition():
            assert process.poll() is None, f"it ended by itself: {said.read_text()}"
            assert time.monotonic() < until, said.read_text()
            time.sleep(POLL_SECONDS)
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kills the job and all its children at once."""
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(LIMIT) == -signal.SIGKILL
    assert gone(process.pid)


@contextmanager
def started(config: Path, *more: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    said = config.parent / "killed.log"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [*NICE, *command(config, *more)],
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, **AROUND},
        )
    try:
        yield process, said
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(LIMIT)


def gone(group: int) -> bool:
    """Whether nothing of a process group runs any more."""
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        alive = [each for each in psutil.process_iter() if _runs_in(each, group)]
        if not alive:
            return True
        time.sleep(POLL_SECONDS)
    return False


def _runs_in(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ProcessLookupError):
        return False


def committed(warehouse: Path, table: str, writer: str, batch: int = 1) -> bool:
    """Whether Delta's log of a table has the writer's commit for a batch."""
    for path in (warehouse / table / "_delta_log").glob("0*.json"):
        for line in path.read_text(encoding="utf-8").splitlines():
            txn = json.loads(line).get("txn", {})
            if (txn.get("appId"), txn.get("version")) == (writer, batch):
                return True
    return False
