"""Writing is atomic: the old report, or the new one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from processor.errors import Unavailable
from processor.loops import LoopConfig
from processor.report import lineage
from processor.report.document import document
from processor.report.page import page
from processor.report.write import write

Tables = dict[str, list[dict[str, Any]]]
SCRIPT = "<script>alert('x')</script>"


EVENTS = [{"eventType": "START"}, {"eventType": "COMPLETE", "name": "é"}]


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_written_files_are_the_document_and_its_page(tmp_path: Path, told: dict[str, Any]) -> None:
    made = told
    folder = tmp_path / "new" / "report"
    assert write(folder, made, EVENTS) == folder / "index.html"
    assert json.loads((folder / "report.json").read_text(encoding="utf-8")) == made
    assert (folder / "index.html").read_text(encoding="utf-8") == page(made)
    assert (folder / "lineage/000003.jsonl").read_text(encoding="utf-8") == lineage.text(EVENTS)
    names = ["index.html", "lineage/000003.jsonl", "metrics.prom", "report.json"]
    before = files(folder)
    assert sorted(before) == names
    write(folder, made, EVENTS)
    assert files(folder) == before


def test_the_lineage_of_each_batch_stays(
    tmp_path: Path, tables: Tables, loop: LoopConfig, told: dict[str, Any]
) -> None:
    write(tmp_path, document(tables, 2, [loop]), EVENTS)
    write(tmp_path, told, EVENTS)
    left = sorted(path.name for path in (tmp_path / "lineage").iterdir())
    assert left == ["000002.jsonl", "000003.jsonl"]


def test_a_write_that_fails_leaves_the_old_report(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tables: Tables,
    loop: LoopConfig,
    told: dict[str, Any],
) -> None:
    write(tmp_path, document(tables, 2, [loop]), EVENTS)
    before = files(tmp_path)
    calls = []

    def full(number: int) -> None:
        calls.append(number)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match="No space left") as raised:
        write(tmp_path, told, EVENTS)
    assert "`report`" in raised.value.remedy
    assert files(tmp_path) == before


def test_a_folder_that_cannot_be_is_unavailable(tmp_path: Path, told: dict[str, Any]) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable, match="cannot be written"):
        write(tmp_path / "file" / "report", told, EVENTS)
