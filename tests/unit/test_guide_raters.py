"""The guide to many raters: its example prints what it shows, and it names every rule."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from processor.feedback.question import CONSENSUS_RULES

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "raters.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS: dict[str, str] = dict(re.findall(r"```(\w*)\n(.*?)```", TEXT, re.DOTALL))


def test_the_example_prints_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loops").mkdir()
    (tmp_path / "loops" / "review.yaml").write_text(BLOCKS["yaml"], encoding="utf-8")
    (tmp_path / "bfp.yaml").write_text("loops: loops\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(compile(BLOCKS["python"], str(PAGE), "exec"), {})  # noqa: S102  # our own page
    assert capsys.readouterr().out == BLOCKS[""]


def test_every_rule_and_its_keys_are_in_the_guide() -> None:
    for rule in CONSENSUS_RULES:
        row = re.findall(rf"^\| `{rule.name}` \|.*$", TEXT, re.MULTILINE)[0]
        assert all(f"`{key}`" in row for key in rule.params.model_fields)
