"""The guide to triggers: its example prints what it shows, and it has every rule and its keys."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from processor.avro.contracts import contract
from processor.config import load
from processor.evaluate.verdict import HOLD, PROMOTE, REJECT
from processor.loops import LoopConfig
from processor.measurements import INSUFFICIENT
from processor.triggers.holds import FIRED
from processor.triggers.machine import QUIET, RULES, SUPPRESSED, rules_of
from processor.triggers.rules.base import Action, RuleParams
from tests.unit.key_tables import GUIDE, fields, holds, table

PAGE = GUIDE / "triggers.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS: dict[str, str] = dict(re.findall(r"```(\w*)\n(.*?)```", TEXT, re.DOTALL))
KINDS = ("yaml", "sh", "python", "")
HEAD = {"event_time", "source", "tenant", "subject_key", "training_allowed", "tags"}
"""What every event says."""

every_rule = pytest.mark.parametrize("name", [rule.name for rule in RULES])


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoopConfig:
    """The loop of the guide, in a folder of its own."""
    (tmp_path / "loops").mkdir()
    (tmp_path / "loops" / "fraud.yaml").write_text(BLOCKS["yaml"], encoding="utf-8")
    (tmp_path / "bfp.yaml").write_text("loops: loops\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return load(Path("bfp.yaml")).only("fraud")


@pytest.mark.usefixtures("loop")
def test_the_example_prints_what_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(BLOCKS["python"], str(PAGE), "exec"), {})  # noqa: S102  # our own page
    assert capsys.readouterr().out == BLOCKS[""]


def test_its_loop_file_is_one(loop: LoopConfig) -> None:
    assert len(rules_of(loop)) == len(loop.rules)
    assert tuple(BLOCKS) == KINDS  # each once: none hides another


@every_rule
def test_every_rule_is_there_with_its_keys_and_their_defaults(name: str) -> None:
    rule = RULES[name]
    row = re.findall(rf"^\| \[`{name}`\]\(#{name}\) \|.*\| (\w+) \| (\w+) \|$", TEXT, re.MULTILINE)
    assert row == [(rule.cause, rule.action)]
    common = fields(RuleParams)
    known = {key: each for key, each in fields(rule.params).items() if key not in common}
    told = table(TEXT, name)
    assert told.keys() == known.keys()
    for key, default in told.items():
        assert holds(default, known[key]), f"{key}: the guide says {default}"


def test_what_every_rule_can_be_told_is_there() -> None:
    told, known = table(TEXT, "Rules"), fields(RuleParams)
    assert told.keys() == known.keys()
    assert all(holds(default, known[key]) for key, default in told.items())
    assert all(re.search(rf"\b{action}\b", TEXT) for action in get_args(Action))


def test_every_state_and_verdict_is_there() -> None:
    firsts = re.findall(r"^\| ([A-Z]+) \|", TEXT, re.MULTILINE)
    assert {QUIET, SUPPRESSED, FIRED, INSUFFICIENT, REJECT, HOLD, PROMOTE} == set(firsts)


def test_every_field_of_a_trigger_is_there() -> None:
    record = json.loads(contract("RetrainingTrigger").text)
    names = {field["name"] for field in record["fields"]}
    section = TEXT.split("## What a trigger carries\n")[1].split("\n## ")[0]
    cells = " ".join(re.findall(r"^\| (`.*?) \|", section, re.MULTILINE))
    carried = {name.split(".")[0] for name in re.findall(r"`([\w.]+)`", cells)}
    assert carried == names - HEAD - {"dedupe_key", "run_id"}
    evidence = next(field for field in record["fields"] if field["name"] == "evidence")
    for field in evidence["type"]["items"]["fields"]:
        assert f"`{field['name']}`" in section
