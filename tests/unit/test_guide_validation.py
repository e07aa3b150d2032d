"""The guide to validation: its example prints what it shows, its commands and rules are there."""

from __future__ import annotations

import json
import re
import shlex
from datetime import datetime
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from click.testing import CliRunner

from processor.avro.contracts import contract
from processor.checks import CHECKS
from processor.checks.base import HEADER
from processor.cli.schema import COMMAND
from processor.config import load
from processor.loops import ArrivalsConfig, LoopConfig, SourcesConfig
from processor.measure.arrivals import KINDS
from processor.measure.misbehaving import TESTS
from processor.tables import SOURCES
from processor.warehouse import Warehouse

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
    told: dict[str, Any] = dict(names["event"])  # type: ignore[call-overload]  # a mapping
    told["event_time"] = datetime.fromisoformat(told["event_time"])
    with (tmp_path / "events.avro").open("wb") as out:
        fastavro.writer(out, json.loads(contract("FeedbackEvent").text), [told])
    lines, container = (shlex.split(line, comments=True) for line in blocks("sh")[0].splitlines())
    ended = CliRunner().invoke(COMMAND, lines[2:])
    assert (lines[:3], ended.exit_code) == (["bfp", "schema", "check"], 3)
    assert "events.jsonl:1: value_off_scale" in ended.stdout
    ended = CliRunner().invoke(COMMAND, container[2:])
    assert (container[:3], ended.exit_code) == (["bfp", "schema", "check"], 3)
    document = json.loads(ended.stdout)
    (defect,) = document["defects"]
    assert (document["record"], document["events"]) == ("FeedbackEvent", 1)
    assert (defect["event_id"], defect["code"]) == ("f-17", "value_off_scale")


def test_the_last_verdicts_are_read_as_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of three sources one was found to misbehave and still is, and one was and is no more."""
    said = {
        1: {"user:bot": "MISBEHAVING", "user:hasty": "MISBEHAVING", "user:new": "INSUFFICIENT"},
        2: {"user:bot": "MISBEHAVING", "user:hasty": "UNREMARKABLE"},
    }
    warehouse = Warehouse(str(tmp_path / "build" / "warehouse"))
    for batch, verdicts in said.items():
        rows = [
            {"batch_id": batch, "loop": "chat", "source": source, "log_e": 4.5, "verdict": verdict}
            | {"reasons": ["rate"]}
            for source, verdict in verdicts.items()
        ]
        told = pa.Table.from_pylist(rows, schema=SOURCES.arrow)
        warehouse.append_once(SOURCES, told, "measure/sources", batch)
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks("python")[1], str(PAGE), "exec"), {})  # noqa: S102  # our own page
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["source", "log_e", "reasons"]
    assert row.split()[1:] == ["user:bot", "4.5", "[rate]"]


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
