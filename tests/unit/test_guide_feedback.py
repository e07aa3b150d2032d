"""The guide to feedback: its loop file loads, its examples print what they show."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest

from processor.config import load
from processor.feedback import questions
from processor.feedback.levels import LEVELS
from processor.feedback.question import CREDIT_RULES, SIGNALS
from processor.tables import OUTCOMES
from processor.warehouse import Warehouse

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "feedback.md"
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
LOOPS = ("assistant", "shop", "kiosk")
"""What the loop files are of, in the order of the page."""


def blocks(kind: str) -> list[str]:
    return [text for name, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if name == kind]


*EXAMPLES, AS_OF = blocks("python")
"""The last reads the ledger as of a batch, and shows nothing of its own."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the loop files of the guide."""
    (tmp_path / "loops").mkdir()
    for name, loop in zip(LOOPS, blocks("yaml"), strict=True):
        (tmp_path / "loops" / f"{name}.yaml").write_text(loop, encoding="utf-8")
    (tmp_path / "bfp.yaml").write_text("loops: loops\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_loop_file_asks_what_the_guide_says(home: Path) -> None:
    found = questions(load(home / "bfp.yaml", (), {}).only("assistant"))
    assert [(q.rule.metric, q.signal.name, q.level.name) for q in found] == [
        ("helpful", "rating", "session"),
        ("copied", "click", "inference"),
        ("reading_time", "dwell", "inference"),
    ]


def test_loop_files_of_the_guide_ask_at_every_level(home: Path) -> None:
    config = load(home / "bfp.yaml", (), {})
    asked = [question for name in LOOPS for question in questions(config.only(name))]
    assert {question.level.name for question in asked} == {level.name for level in LEVELS}


def test_the_examples_print_what_they_show(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}  # the second of one event goes on where the first ends
    for example, shown in zip(EXAMPLES, blocks(""), strict=True):
        exec(compile(example, str(PAGE), "exec"), names)  # noqa: S102  # our own page
        assert capsys.readouterr().out == shown


def test_what_a_batch_knew_is_read_as_it_shows(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of `a` batch 3 learns more, `b` is censored until then, and of `c` a late answer came."""
    said = {
        1: [("a", "POSITIVE", "ON_TIME"), ("c", "NEGATIVE", "DEFAULT")],
        2: [("a", "NEGATIVE", "ON_TIME"), ("c", "POSITIVE", "LATE")],
        3: [("a", "RETRACTED", "ON_TIME"), ("b", "NEGATIVE", "DEFAULT")],
    }
    warehouse = Warehouse(str(home / "build" / "warehouse"))
    for batch, rows in said.items():
        told = [
            {"inference_id": name, "state": state, "timing": timing, "metric": metric}
            | {"batch_id": batch}
            for name, state, timing in rows
            for metric in ("helpful", "copied")
        ]
        named = pa.Table.from_pylist(told, schema=OUTCOMES.arrow)
        warehouse.append_once(OUTCOMES, named, "compile/outcomes", batch)
    exec(compile(AS_OF, str(PAGE), "exec"), {})  # noqa: S102  # our own page
    header, *shown = capsys.readouterr().out.splitlines()
    assert header.split() == ["inference_id", "state", "batch_id"]
    assert sorted(line.split()[1:] for line in shown) == [
        ["a", "NEGATIVE", "2"],
        ["c", "NEGATIVE", "1"],
    ]


def test_every_signal_level_and_rule_of_credit_is_in_the_guide() -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = {each.name for each in SIGNALS} | {each.name for each in CREDIT_RULES}
    for name in named | {level.name for level in LEVELS}:
        assert re.search(rf"^\|.*`{name}`", text, re.MULTILINE), name
