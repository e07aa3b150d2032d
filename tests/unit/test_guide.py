"""Loop files that the guide shows are loop files: they load, and their datasets can be made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from processor.config import load
from processor.stages.recipes import recipes

GUIDE = Path(__file__).parents[2] / "docs" / "guide"
LOOP = re.compile(r"```yaml\n(# conf/loops/.*?)```", re.DOTALL)
SHOWN = [
    (page.name, block)
    for page in sorted(GUIDE.glob("*.md"))
    for block in LOOP.findall(page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("page", "block"), SHOWN, ids=[page for page, _ in SHOWN])
def test_a_loop_file_that_is_shown_is_one(page: str, block: str, tmp_path: Path) -> None:
    (tmp_path / "shown.yaml").write_text(block, encoding="utf-8")
    config = load(None, [f"loops={tmp_path}"], {})
    (loop,) = config.loop.values()
    assert len(recipes(config)) == len(loop.datasets)


def test_there_are_some() -> None:
    assert SHOWN
