"""Ending with the process above: nothing that was started outlives who started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from processor.local import service
from processor.local.attached import GRACE_SECONDS, LOOK_SECONDS, VARIABLE

ENDS_SECONDS = 15.0

OWNED = """
import sys, time
from pathlib import Path
from processor.local.service import start
start(Path(sys.argv[1]), ["/bin/sh", "-c", sys.argv[2]], {}, owned=True)
print("started", flush=True)
time.sleep(60)
"""
RUN = """
import sys
from processor.local.service import run
sys.exit(run(["/bin/sh", "-c", sys.argv[2]]))
"""
ATTACHED = """
import sys, time
from pathlib import Path
from processor.local.attached import end_with_parent
end_with_parent()
try:
    print("started", flush=True)
    time.sleep(60)
finally:
    Path(sys.argv[1], "unwound").touch()
"""
STUBBORN = """
import time
from processor.local import attached
attached.GRACE_SECONDS = 1.0
attached.end_with_parent()
print("started", flush=True)
while True:
    try:
        time.sleep(60)
    except BaseException:
        pass
"""
SWALLOWING = """
import sys, time
def test_that_swallows_what_is_raised():
    print("started", file=sys.__stdout__, flush=True)
    while True:
        try:
            time.sleep(60)
        except Exception:
            pass
def test_that_pytest_would_go_on_with():
    time.sleep(60)
"""


@contextmanager
def program(*words: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as begun:
        try:
            yield begun
        finally:
            begun.kill()


def pid_in(path: Path) -> int:
    """The process number that a program wrote, as soon as it did."""
    assert service.wait_for(lambda: path.is_file() and path.read_text().endswith("\n"), 20)
    return int(path.read_text())


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("how", [OWNED, RUN], ids=["service", "run"])
@pytest.mark.parametrize("trap", ["", "trap '' TERM; "], ids=["willing", "stubborn"])
def test_a_child_dies_when_its_parent_is_killed(tmp_path: Path, how: str, trap: str) -> None:
    script = f"{trap}echo $$ > {tmp_path}/pid; while :; do sleep 0.1; done"
    with program("-c", how, tmp_path, script) as parent:
        child = pid_in(tmp_path / "pid")
        assert not gone(child)
        parent.kill()
        parent.wait()
        assert service.wait_for(lambda: gone(child), ENDS_SECONDS)


def test_run_gives_the_exit_code_and_leaves_stdout_alone(tmp_path: Path) -> None:
    with program("-c", RUN, tmp_path, "echo aloud; exit 7") as parent:
        assert parent.stdout is not None
        assert parent.stdout.read() == ""
        assert parent.wait() == 7


@contextmanager
def orphaned(tmp_path: Path, command: str, wanted: str) -> Iterator[int]:
    """The process of a program that said it had started, and whose parent was then killed."""
    script = f"{command} & echo $! > {tmp_path}/pid; wait"
    environment = {**os.environ, VARIABLE: wanted}
    with subprocess.Popen(
        ["/bin/sh", "-c", script], stdout=subprocess.PIPE, text=True, env=environment
    ) as shell:
        assert shell.stdout is not None
        assert shell.stdout.readline() == "started\n"
        child = pid_in(tmp_path / "pid")
        shell.kill()
        shell.wait()
        try:
            yield child
        finally:
            if not gone(child):
                os.kill(child, signal.SIGKILL)


def test_a_program_ends_with_who_started_it_if_asked_for(tmp_path: Path) -> None:
    with orphaned(tmp_path, f"'{sys.executable}' -c '{ATTACHED}' {tmp_path}", "1") as child:
        assert service.wait_for(partial(gone, child), ENDS_SECONDS)
    assert (tmp_path / "unwound").is_file()


def test_a_program_outlives_who_started_it_if_not_asked_for(tmp_path: Path) -> None:
    with orphaned(tmp_path, f"'{sys.executable}' -c '{ATTACHED}' {tmp_path}", "0") as child:
        time.sleep(3 * LOOK_SECONDS)  # that nothing happens takes a time to see
        assert not gone(child)


def test_a_program_that_will_not_unwind_ends_all_the_same(tmp_path: Path) -> None:
    with orphaned(tmp_path, f"'{sys.executable}' -c '{STUBBORN}'", "1") as child:
        assert service.wait_for(partial(gone, child), ENDS_SECONDS)


def test_tests_that_swallow_exceptions_end_with_who_started_them(tmp_path: Path) -> None:
    (tmp_path / "test_swallowing.py").write_text(SWALLOWING)
    pytest_command = f"'{sys.executable}' -m pytest -q -s -p tests.conftest -c /dev/null"
    with orphaned(tmp_path, f"{pytest_command} {tmp_path}/test_swallowing.py", "1") as child:
        assert service.wait_for(partial(gone, child), GRACE_SECONDS / 2)


def test_being_asked_to_stop_unwinds_and_says_so(tmp_path: Path) -> None:
    with program("-c", ATTACHED, tmp_path) as attached:
        assert attached.stdout is not None
        assert attached.stdout.readline() == "started\n"
        attached.terminate()
        assert attached.wait() == 143
        assert (tmp_path / "unwound").is_file()
