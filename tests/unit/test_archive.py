"""The archive of classes: used where it fits, and one word where it no longer does."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from processor.local import archive
from processor.local.lockfile import locked

LONG_AGO = 1_000_000_000  # seconds of the epoch


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the archive of an environment of its own would be."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    path = archive.archive()
    path.parent.mkdir(parents=True)
    return path


def test_an_archive_that_fits_is_used_and_nothing_said(place: Path) -> None:
    place.touch()
    said: list[str] = []
    assert archive.options(said.append) == [
        f"-XX:SharedArchiveFile={place}",
        "-Xlog:cds=off:stderr",
    ]
    assert said == []


def test_a_stale_archive_is_ignored_with_one_warning(place: Path) -> None:
    place.with_name("classes-0123456789ab.jsa").touch()
    said: list[str] = []
    assert archive.options(said.append) == []
    (warning,) = said
    assert "bfp local fetch" in warning


def test_an_archive_of_jars_in_another_cache_is_stale(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.touch()
    monkeypatch.setenv("BFP_CACHE", str(place.parent))
    said: list[str] = []
    assert archive.options(said.append) == []
    assert len(said) == 1


@pytest.mark.parametrize("change", ["touched", "of another size", "gone"])
def test_an_archive_of_jars_that_were_fetched_again_is_stale(
    place: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setenv("BFP_CACHE", str(place.parent))
    jar, other = (place.parent / "spark" / each.file for each in locked("spark")[:2])
    jar.parent.mkdir()
    jar.write_bytes(b"as it was")
    os.utime(jar, (LONG_AGO, LONG_AGO))
    fitting = archive.archive()
    fitting.touch()
    other.with_name("of-no-group.jar").touch()
    assert archive.archive() == fitting
    if change == "touched":
        jar.touch()
    elif change == "gone":
        jar.unlink()
    else:
        jar.write_bytes(b"another one")
        os.utime(jar, (LONG_AGO, LONG_AGO))
    said: list[str] = []
    assert archive.options(said.append) == []
    (warning,) = said
    assert "bfp local fetch" in warning


def test_without_an_archive_there_is_nothing_to_say(place: Path) -> None:
    said: list[str] = []
    assert (archive.options(said.append), said) == ([], [])
