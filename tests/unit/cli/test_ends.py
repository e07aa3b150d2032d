"""How a command ends when something is amiss: its exit code, and what it says."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Bfp

Plant = Callable[[Callable[..., None]], None]


@pytest.fixture
def plant(bfp: Bfp, monkeypatch: pytest.MonkeyPatch) -> Plant:
    """Puts something else in the place of what `bfp status` does first."""
    bfp("status")
    return lambda planted: monkeypatch.setattr("processor.cli.status.config_of", planted)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["status"], 0),
        (["schema", "check"], 0),
        (["local", "status"], 0),
        (["dataset", "list"], 0),
        (["local", "down"], 0),
        (["doctor"], 75),
        (["plan"], 75),
        (["run"], 75),
        (["schema", "register"], 75),
        (["report"], 2),
        (["demo", "--persons", "0"], 2),
        (["no-such-command"], 2),
    ],
)
def test_json_is_one_document_however_a_command_ends(bfp: Bfp, words: list[str], code: int) -> None:
    ended = bfp(*words, "--json")
    assert ended.code == code
    assert ended.document


def test_a_bug_ends_with_70_and_keeps_its_traceback(bfp: Bfp, plant: Plant) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("planted")

    plant(broken)
    ended = bfp("status")
    assert (ended.code, ended.out) == (70, "")
    assert "ZeroDivisionError: planted" in ended.err
    assert "please report it" in ended.err
    told = bfp("status", "--json")
    assert (told.code, told.document["what"]) == (70, "planted")


def test_what_fails_because_of_a_signal_is_no_bug(bfp: Bfp, plant: Plant) -> None:
    def torn(*_: object) -> None:
        try:
            raise SystemExit(143)
        finally:
            raise ZeroDivisionError("whoever lets go of a JVM that has ended")

    plant(torn)
    ended = bfp("status")
    assert (ended.code, ended.out) == (143, "")
    assert "run again" in ended.err
    assert "Traceback" not in ended.err


def test_an_interrupt_is_no_bug(bfp: Bfp, plant: Plant) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    plant(interrupted)
    ended = bfp("status")
    assert ended.code == 130
    assert "run again" in ended.err


def test_a_full_disk_under_stdout_ends_with_75_and_no_traceback() -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "processor", "schema", "check", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 75
    assert ended.stderr.splitlines()[-1] == "  remedy: make room, and run again"
    assert "Traceback" not in ended.stderr


def test_a_full_disk_elsewhere_is_told_as_json(bfp: Bfp, plant: Plant) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    plant(full)
    ended = bfp("status", "--json")
    assert (ended.code, ended.document["error"], ended.document["retryable"]) == (
        75,
        "Unavailable",
        True,
    )
