"""Ending with the process above: nothing that was started outlives who started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from subprocess import PIPE, Popen

import psutil
import pytest

from processor.local import service
from processor.local.attached import GRACE_SECONDS, LOOK_SECONDS, TERMINATED, VARIABLE

STARTS_SECONDS = 60.0
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
from processor.local.attached import end_when_asked
end_when_asked()
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
attached.end_when_asked()
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
def program(*words: object) -> Iterator[Popen[str]]:
    command = [sys.executable, *map(str, words)]
    with Popen(command, stdout=PIPE, text=True) as begun:
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
def below(tmp_path: Path, command: str, *, lead: bool) -> Iterator[tuple[Popen[str], int]]:
    """A shell, the leader if so, and the process of the program below it that said it started."""
    script = f"export {VARIABLE}={'$$' if lead else ''}; {command} & echo $! > {tmp_path}/pid; wait"
    with Popen(["/bin/sh", "-c", script], stdout=PIPE, text=True, start_new_session=True) as shell:
        silent = threading.Timer(STARTS_SECONDS, os.killpg, (shell.pid, signal.SIGKILL))
        silent.start()
        assert shell.stdout is not None
        try:
            assert shell.stdout.readline() == "started\n"
            silent.cancel()
            yield shell, pid_in(tmp_path / "pid")
        finally:
            silent.cancel()
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)


@contextmanager
def orphaned(tmp_path: Path, command: str, *, lead: bool) -> Iterator[int]:
    """The process of a program that said it had started, and whose parent was then killed."""
    with below(tmp_path, command, lead=lead) as (shell, child):
        shell.kill()
        shell.wait()
        yield child


def python(script: str, *words: object) -> str:
    return " ".join((f"'{sys.executable}' -c '{script}'", *map(str, words)))


def test_a_program_ends_with_who_started_it_if_asked_for(tmp_path: Path) -> None:
    with orphaned(tmp_path, python(ATTACHED, tmp_path), lead=True) as child:
        assert service.wait_for(partial(gone, child), ENDS_SECONDS)
    assert (tmp_path / "unwound").is_file()


def test_a_program_outlives_who_started_it_if_not_asked_for(tmp_path: Path) -> None:
    with orphaned(tmp_path, python(ATTACHED, tmp_path), lead=False) as child:
        time.sleep(3 * LOOK_SECONDS)  # that nothing happens takes a time to see
        assert not gone(child)


def test_a_program_below_another_ends_with_the_leader(tmp_path: Path) -> None:
    between = '/bin/sh -c \'true; "$0" "$@"; true\''
    command = f"{between} {python(ATTACHED, tmp_path)}"
    with orphaned(tmp_path, command, lead=True) as shell:
        assert service.wait_for((tmp_path / "unwound").is_file, ENDS_SECONDS)
        assert service.wait_for(partial(gone, shell), ENDS_SECONDS)


def test_a_program_whose_leader_ended_before_it_began_ends_at_once(tmp_path: Path) -> None:
    with Popen(["/bin/true"]) as ended:
        ended.wait()
    environment = {**os.environ, VARIABLE: str(ended.pid)}
    command = [sys.executable, "-c", ATTACHED, str(tmp_path)]
    done = subprocess.run(command, env=environment, check=False, timeout=STARTS_SECONDS)
    assert done.returncode == TERMINATED
    assert (tmp_path / "unwound").is_file()


def test_a_leader_that_nobody_took_note_of_has_ended(tmp_path: Path) -> None:
    with Popen(["/bin/sleep", "60"]) as leader:
        environment = {**os.environ, VARIABLE: str(leader.pid)}
        with Popen([sys.executable, "-c", ATTACHED, str(tmp_path)], env=environment) as attached:
            leader.kill()  # a zombie, until the end of this test
            assert service.wait_for((tmp_path / "unwound").is_file, ENDS_SECONDS)
            assert attached.wait(ENDS_SECONDS) == TERMINATED


def test_a_program_that_will_not_unwind_ends_all_the_same(tmp_path: Path) -> None:
    with orphaned(tmp_path, python(STUBBORN), lead=True) as child:
        assert service.wait_for(partial(gone, child), ENDS_SECONDS)


def test_tests_that_swallow_exceptions_end_with_who_started_them(tmp_path: Path) -> None:
    (tmp_path / "test_swallowing.py").write_text(SWALLOWING)
    pytest_command = f"'{sys.executable}' -m pytest -q -s -p tests.conftest -c /dev/null"
    command = f"{pytest_command} {tmp_path}/test_swallowing.py"
    with orphaned(tmp_path, command, lead=True) as child:
        assert service.wait_for(partial(gone, child), GRACE_SECONDS / 2)


def test_an_interrupt_unwinds_a_program_in_the_foreground(tmp_path: Path) -> None:
    with program("-c", ATTACHED, tmp_path) as attached:
        assert attached.stdout is not None
        assert attached.stdout.readline() == "started\n"
        attached.send_signal(signal.SIGINT)
        assert attached.wait() == -signal.SIGINT  # as Python ends by a KeyboardInterrupt
        assert (tmp_path / "unwound").is_file()


def test_an_interrupt_is_ignored_in_the_background_of_a_shell(tmp_path: Path) -> None:
    with below(tmp_path, python(ATTACHED, tmp_path), lead=False) as (_, child):
        os.kill(child, signal.SIGINT)
        time.sleep(3 * LOOK_SECONDS)  # that nothing happens takes a time to see
        assert not gone(child)
        os.kill(child, signal.SIGTERM)
        assert service.wait_for((tmp_path / "unwound").is_file, ENDS_SECONDS)


def test_being_asked_to_stop_unwinds_and_says_so(tmp_path: Path) -> None:
    with program("-c", ATTACHED, tmp_path) as attached:
        assert attached.stdout is not None
        assert attached.stdout.readline() == "started\n"
        attached.terminate()
        assert attached.wait() == TERMINATED
        assert (tmp_path / "unwound").is_file()
