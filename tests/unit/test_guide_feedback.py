"""The guide to feedback: its loop file loads, its example prints what it shows."""

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
LOOPS = ("assistant", "kiosk")
NAMES = ("scales", "sessions without a name", "one event at a time")
"""What the loop files and the examples are of, in the order of the page."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the loop files of the guide."""
    (tmp_path / "loops").mkdir()
    for name, loop in zip(LOOPS, blocks("yaml"), strict=True):
        (tmp_path / "loops" / f"{name}.yaml").write_text(loop, encoding="utf-8")
    (tmp_path / "bfp.yaml").write_text("loops: loops\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks(kind: str) -> list[str]:
    return [text for name, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if name == kind]


def test_the_loop_file_asks_what_the_guide_says(home: Path) -> None:
    found = questions(load(home / "bfp.yaml", (), {}).only("assistant"))
    assert [(q.rule.metric, q.signal.name, q.level.name) for q in found] == [
        ("helpful", "rating", "session"),
        ("copied", "click", "inference"),
        ("reading_time", "dwell", "inference"),
    ]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("example", "shown"), list(zip(blocks("python"), blocks(""), strict=True)), ids=NAMES
)
def test_an_example_prints_what_it_shows(
    example: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(compile(example, str(PAGE), "exec"), {})  # noqa: S102  # our own page
    assert capsys.readouterr().out == shown


def test_every_signal_level_and_rule_of_credit_is_in_the_guide() -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = {each.name for each in SIGNALS} | {each.name for each in CREDIT_RULES}
    for name in named | {level.name for level in LEVELS}:
        assert re.search(rf"^\|.*`{name}`", text, re.MULTILINE), name
