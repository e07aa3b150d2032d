"""The archive of classes: used where it fits, and one word where it no longer does."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from processor.local import archive
from processor.local.lockfile import locked


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


def test_an_archive_of_jars_that_were_fetched_again_is_stale(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = place.parent / "cache"
    jar = cache / "spark" / locked("spark")[0].file
    jar.parent.mkdir(parents=True)
    monkeypatch.setenv("BFP_CACHE", str(cache))
    jar.write_bytes(b"a jar")
    fits = archive.archive()
    fits.touch()
    said: list[str] = []
    assert (archive.options(said.append) != [], said) == (True, [])
    os.utime(jar, (1_500_000_000, 1_500_000_000))
    assert archive.options(said.append) == []
    (warning,) = said
    assert "fetched again" in warning
    assert archive.archive() == archive.archive() != fits


def test_without_an_archive_there_is_nothing_to_say(place: Path) -> None:
    said: list[str] = []
    assert (archive.options(said.append), said) == ([], [])
