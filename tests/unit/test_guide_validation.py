"""The guide to validation: its example prints what it shows, its commands and rules are there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from processor.checks import CHECKS
from processor.checks.base import HEADER
from processor.cli.schema import COMMAND
from processor.config import load
from processor.loops import ArrivalsConfig, LoopConfig, SourcesConfig
from processor.measure.arrivals import KINDS
from processor.measure.misbehaving import TESTS

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "validation.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def blocks(kind: str) -> list[str]:
    return [text for name, text in BLOCK.findall(TEXT) if name == kind]


def test_the_example_prints_what_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(blocks("python")[0], str(PAGE), "exec"), {})  # noqa: S102  # our own page
    assert capsys.readouterr().out == blocks("")[0]


def test_the_commands_that_are_shown_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file holds the example's event, and ends with 3 as it says."""
    names: dict[str, object] = {}
    exec(compile(blocks("python")[0], str(PAGE), "exec"), names)  # noqa: S102  # our own page
    monkeypatch.chdir(tmp_path)
    (tmp_path / "events.jsonl").write_text(json.dumps(names["event"]), encoding="utf-8")
    first, *_ = blocks("sh")[0].splitlines()
    words = shlex.split(first, comments=True)
    ended = CliRunner().invoke(COMMAND, words[2:])
    assert (words[:3], ended.exit_code) == (["bfp", "schema", "check"], 3)
    assert "events.jsonl:1: value_off_scale" in ended.stdout


def test_every_rule_is_in_the_guide_in_its_own_words() -> None:
    told = set(re.findall(r"^\| (\w+) \| `(\w+)` \| (.*) \|$", TEXT, re.MULTILINE))
    rules = {("all", rule.code, rule.detail) for rule in HEADER}
    rules |= {(each.name, rule.code, rule.detail) for each in CHECKS for rule in each.rules}
    assert {each for each in told if each[0] in {name for name, *_ in rules}} == rules


def test_every_rate_and_every_test_of_sources_is_in_the_guide() -> None:
    for name in (*(f"feedback.{kind}_rate" for kind in KINDS), *(test.name for test in TESTS)):
        assert re.search(rf"^\| `{name}` \|", TEXT, re.MULTILINE), name


def test_the_loop_file_shows_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "chat.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    loop: LoopConfig = load(None, [f"loops={tmp_path}"], {}).only("chat")
    assert loop.arrivals == ArrivalsConfig()
    assert loop.sources == SourcesConfig()
    assert loop.sources.model_fields_set == set(SourcesConfig.model_fields)
    assert [each.sources.misbehaving for each in loop.datasets] == ["keep", "exclude", "downweight"]
