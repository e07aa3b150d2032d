"""The version names the sources that decide results, byte by byte."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import processor
from processor.version import VERSION, code_version

SOURCES = Path(processor.__file__).parent


def version_in(folder: Path) -> str:
    """What a copy of the package says of itself."""
    said = subprocess.run(
        [sys.executable, "-c", "from processor.version import *; print(code_version())"],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    return said.stdout.strip()


def test_a_copy_has_the_same_version_until_a_source_changes(tmp_path: Path) -> None:
    copy = tmp_path / "processor"
    shutil.copytree(SOURCES, copy, ignore=shutil.ignore_patterns("__pycache__"))
    assert version_in(tmp_path) == code_version()
    assert code_version().startswith(f"{VERSION}+")
    (copy / "notes.txt").write_text("no source", encoding="utf-8")
    assert version_in(tmp_path) == code_version()
    errors = copy / "errors.py"
    before = errors.read_bytes()
    errors.write_bytes(before + b"\n")
    assert version_in(tmp_path) != code_version()
    errors.write_bytes(before)
    assert version_in(tmp_path) == code_version()
    (copy / "lock.py").rename(copy / "locked.py")
    assert version_in(tmp_path) != code_version()
