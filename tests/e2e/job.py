"""The job as a scheduler runs it: a process of its own, and killed like one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.e2e.world import Site
from tests.small import AROUND

LIMIT = 180.0  # seconds that a run may take
POLL_SECONDS = 0.001
NICE = ("nice", "-n", "19")  # who watches gets the processor before who is watched
ROOT = Path(__file__).parents[2]
Commit = tuple[str, str | None]
"""Table and writer; observations, which are not derived, have no writer."""


def command(config: Path, *more: str, module: str = "processor") -> list[str]:
    return [sys.executable, "-m", module, "run", "--config", str(config), "--json", *more]


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
        assert kill(process)


def kill(process: subprocess.Popen[bytes]) -> bool:
    """Kills the job and all its children at once; whether that is what ended it."""
    os.killpg(process.pid, signal.SIGKILL)
    killed = process.wait(LIMIT) == -signal.SIGKILL
    assert gone(process.pid)
    return killed


def dies_of_a_commit(site: Site) -> Commit:
    """Runs the job, which kills itself and all its children right after its first commit."""
    before = commits(site.warehouse)
    with alone(site.config, command(site.config, module="tests.e2e.dying")) as (process, said):
        assert process.wait(LIMIT) == -signal.SIGKILL, said.read_text()
        assert gone(process.pid)
    (one,) = (commits(site.warehouse) - before).elements()
    return one


@contextmanager
def started(config: Path, *more: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A job that somebody watches."""
    with alone(config, [*NICE, *command(config, *more)]) as found:
        yield found


@contextmanager
def alone(config: Path, words: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A process group of its own, of which nothing is left after the block; and what it says."""
    said = config.parent / "killed.log"
    with said.open("wb") as output:
        process = subprocess.Popen(
            words,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=ROOT,
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
    told = (action for log in _actions(warehouse, table) for action in log)
    txns = (action.get("txn", {}) for action in told)
    return any((txn.get("appId"), txn.get("version")) == (writer, batch) for txn in txns)


def commits(warehouse: Path) -> Counter[Commit]:
    """How often each writer committed to each table, by Delta's logs."""
    found: Counter[Commit] = Counter()
    for folder in warehouse.glob("*/_delta_log"):
        for log in _actions(warehouse, folder.parent.name):
            writers = [action["txn"]["appId"] for action in log if "txn" in action]
            if writers or any("add" in action for action in log):  # else a table was made
                found[folder.parent.name, next(iter(writers), None)] += 1
    return found


def _actions(warehouse: Path, table: str) -> Iterator[list[dict[str, Any]]]:
    """What each commit to a table says."""
    for path in (warehouse / table / "_delta_log").glob("0*.json"):
        yield [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
