"""One run at a time: held against another process, and free as soon as its holder is dead."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from processor.errors import BatchHeld, Unavailable
from processor.lock import held

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


def test_a_longer_process_number_leaves_no_digits_behind(tmp_path: Path) -> None:
    (tmp_path / ".bfp.lock").write_text("9" * 20, encoding="utf-8")
    with holder(tmp_path) as other:
        assert (tmp_path / ".bfp.lock").read_text(encoding="utf-8") == str(other.pid)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    root = tmp_path / "file" / "warehouse"
    with pytest.raises(Unavailable, match=str(root)), held(str(root)):
        pass


def test_an_object_store_is_left_to_its_own_commit() -> None:
    with held("s3://nobody/warehouse"), held("s3://nobody/warehouse"):
        pass
