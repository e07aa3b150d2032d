"""A folder with one loop in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.config.own import LOOP


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "loops").mkdir()
    (tmp_path / "loops" / "a.yaml").write_text(LOOP.format(name="a"), encoding="utf-8")
    return tmp_path
