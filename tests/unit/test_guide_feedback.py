"""The guide to feedback: its loop file loads, its examples print what they show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from processor.config import load
from processor.feedback import questions
from processor.feedback.levels import LEVELS
from processor.feedback.question import CREDIT_RULES, SIGNALS

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "feedback.md"
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the loop file of the guide."""
    (tmp_path / "loops").mkdir()
    (loop,) = blocks("yaml")
    (tmp_path / "loops" / "assistant.yaml").write_text(loop, encoding="utf-8")
    (tmp_path / "bfp.yaml").write_text("loops: loops\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks(kind: str) -> list[str]:
    return [text for of, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if of == kind]


def test_the_loop_file_asks_what_the_guide_says(home: Path) -> None:
    found = questions(load(home / "bfp.yaml", (), {}).only("assistant"))
    assert [(q.rule.metric, q.signal.name, q.level.name) for q in found] == [
        ("helpful", "rating", "session"),
        ("copied", "click", "inference"),
        ("reading_time", "dwell", "inference"),
    ]


def test_the_examples_print_what_they_show(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(blocks("python")) == 2
    for code, shown in zip(blocks("python"), blocks(""), strict=True):
        exec(compile(code, str(PAGE), "exec"), {})  # noqa: S102  # our own page
        assert capsys.readouterr().out == shown


def test_every_signal_level_and_rule_of_credit_is_in_the_guide() -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = {each.name for each in SIGNALS} | {each.name for each in CREDIT_RULES}
    for name in named | {level.name for level in LEVELS}:
        assert re.search(rf"^\|.*`{name}`", text, re.MULTILINE), name
