"""The guide to labels: its example prints what it shows, and what it lists is what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from processor.checks import check
from processor.config import load
from processor.datasets.requests import asking
from processor.loops import LoopConfig
from processor.measure.requests import NAMES
from processor.measurements import ASKED, REQUESTS
from processor.stages.recipes import POLICIES
from processor.stages.solicit import askings
from processor.tables import LABEL_REQUESTS

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "labels.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, re.DOTALL)


def block(kind: str, number: int = 0) -> str:
    found: list[str] = [text for of, text in BLOCKS if of == kind]
    return found[number]


def test_the_example_prints_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loops").mkdir()
    (tmp_path / "loops" / "reviews.yaml").write_text(block("yaml"), encoding="utf-8")
    (tmp_path / "bfp.yaml").write_text("loops: loops\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (found,) = askings(load(Path("bfp.yaml")))
    assert (found.policy, found.config.seed) == ("uncertainty", 7)
    exec(compile(block("python", 1), str(PAGE), "exec"), {})  # noqa: S102  # our own page
    assert capsys.readouterr().out == block("", 1)


def test_who_answers_is_learned_as_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block("python"), str(PAGE), "exec"), {})  # noqa: S102  # our own page
    assert capsys.readouterr().out == block("")


def test_what_tuning_recommends_is_a_part_of_a_loop_file() -> None:
    told = yaml.safe_load(block("yaml", -1))
    assert block("yaml", -1) in block("", -1)
    loop = yaml.safe_load(block("yaml")) | told
    found = asking(LoopConfig.model_validate(loop), POLICIES)
    assert found is not None
    assert found.chain.links[0].params.spreads == {"false": 0.2523, "true": 0.5399}


def test_every_way_of_asking_that_is_shown_is_understood() -> None:
    shown = [yaml.safe_load(text) for kind, text in BLOCKS if kind == "yaml"]
    whole = yaml.safe_load(block("yaml"))
    found = [asking(LoopConfig.model_validate(whole | told), POLICIES) for told in shown]
    policies = [each.policy for each in found if each is not None]
    assert policies == ["uncertainty", "uncertainty", "uncertainty+diverse", "stratified"]
    assert f"`{ASKED}`" in TEXT


def test_the_answer_that_is_shown_is_valid() -> None:
    assert check("FeedbackEvent", json.loads(block("json"))) == []


def test_fields_and_measurements_are_listed() -> None:
    fields = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE)))
    assert set(fields) <= set(LABEL_REQUESTS.schema.names)
    assert {"query_id", "inclusion_prob", "priority", "expires_at"} <= set(fields)
    assert all(f"`{REQUESTS}{name}`" in TEXT for name in NAMES)
