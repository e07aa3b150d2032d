"""One run at a time: held against another process, and free as soon as its holder is dead."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from processor.errors import BatchHeld, Unavailable
from processor.lock import LEASE, LOCK, held

LIMIT = 20.0  # seconds

HOLD = """
import sys
from processor.lock import held
with held(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(root: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the warehouse."""
    command = [sys.executable, "-c", HOLD, str(root)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield other
        other.kill()


def test_a_second_process_is_told_who_holds_it(tmp_path: Path) -> None:
    root = tmp_path / "new" / "warehouse"
    with holder(root) as other:
        with pytest.raises(BatchHeld, match=f"process {other.pid}") as refused, held(str(root)):
            pass
        assert refused.value.exit_code == 5
        assert refused.value.retryable


def test_a_holder_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    with holder(tmp_path) as other:
        other.kill()
        other.wait()
        with held(str(tmp_path)):
            pass


def test_an_error_in_the_block_lets_go(tmp_path: Path) -> None:
    with pytest.raises(KeyError), held(str(tmp_path)):
        raise KeyError
    with held(str(tmp_path)):
        pass


def test_a_longer_note_of_an_earlier_holder_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("9" * 200, encoding="utf-8")
    with holder(tmp_path) as other:
        assert json.loads((tmp_path / LOCK).read_text(encoding="utf-8"))["pid"] == other.pid


def test_a_holder_that_was_stopped_past_its_lease_is_ended_and_never_wakes(
    tmp_path: Path,
) -> None:
    with holder(tmp_path) as other:
        other.send_signal(signal.SIGSTOP)
        stale = time.time() - 2 * LEASE.total_seconds()
        os.utime(tmp_path / LOCK, (stale, stale))
        with held(str(tmp_path)):
            assert not psutil.pid_exists(other.pid)


def test_a_holder_that_was_stopped_within_its_lease_still_holds(tmp_path: Path) -> None:
    with holder(tmp_path) as other:
        other.send_signal(signal.SIGSTOP)
        with pytest.raises(BatchHeld), held(str(tmp_path)):
            pass
        assert other.poll() is None


def test_a_holder_at_work_is_never_expired(tmp_path: Path) -> None:
    lease = timedelta(seconds=0.4)
    with held(str(tmp_path), lease):
        first = (tmp_path / LOCK).stat().st_mtime
        until = time.monotonic() + LIMIT
        while (tmp_path / LOCK).stat().st_mtime < first + 2 * lease.total_seconds():
            assert time.monotonic() < until, "the lock file shows no life"
        command = [sys.executable, "-c", HOLD, str(tmp_path)]
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "BatchHeld" in refused.stderr


@pytest.mark.parametrize("change", [{"host": "elsewhere"}, {"started": 1.0}, {"pid": 2**22 + 1}])
def test_nobody_is_ended_who_is_not_surely_the_holder(
    tmp_path: Path, change: dict[str, object]
) -> None:
    with holder(tmp_path) as other:
        note = json.loads((tmp_path / LOCK).read_text(encoding="utf-8"))
        (tmp_path / LOCK).write_text(json.dumps({**note, **change}), encoding="utf-8")
        stale = time.time() - 2 * LEASE.total_seconds()
        os.utime(tmp_path / LOCK, (stale, stale))
        with pytest.raises(BatchHeld), held(str(tmp_path)):
            pass
        assert other.poll() is None


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    root = tmp_path / "file" / "warehouse"
    with pytest.raises(Unavailable, match=str(root)), held(str(root)):
        pass


def test_an_object_store_is_left_to_its_own_commit() -> None:
    with held("s3://nobody/warehouse"), held("s3://nobody/warehouse"):
        pass
