"""`bfp schema check FILE`: events before they are sent, line by line, without a JVM."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro
import pytest
from click.testing import CliRunner, Result

from processor.avro.contracts import contract
from processor.cli.schema import COMMAND
from processor.errors import ConfigError

EVENT: dict[str, Any] = {
    "event_id": "e1",
    "event_time": "2024-03-01T12:00:00Z",
    "source": "urn:app",
    "level": "INFERENCE",
    "inference_id": "i",
    "kind": "RATING",
    "metric": "helpful",
    "value_num": 4.0,
    "scale_min": 1.0,
    "scale_max": 5.0,
}
LINES = (
    json.dumps(EVENT),
    "",
    json.dumps(EVENT | {"event_id": "e2", "value_num": 6, "metric": ""}),
    "{",
    "[1]",
    json.dumps(EVENT | {"event_id": "e3", "event_time": "2999-01-01T00:00:00Z"}),
)
EVENTS = "FeedbackEvent"
FOUND = [
    (3, "e2", "empty_metric"),
    (3, "e2", "value_off_scale"),
    (4, None, "not_an_event"),
    (5, None, "not_an_event"),
    (6, "e3", "clock_skew"),
]


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return path


def bfp(*words: object) -> Result:
    return CliRunner().invoke(COMMAND, ["check", *map(str, words)])


def test_defects_are_told_by_line_and_end_with_3(lines: Path) -> None:
    ended = bfp(lines, "--record", "FeedbackEvent", "--json")
    told = json.loads(ended.stdout)
    assert ended.exit_code == 3
    assert (told["file"], told["record"], told["events"]) == (str(lines), "FeedbackEvent", 5)
    assert [(d["line"], d["event_id"], d["code"]) for d in told["defects"]] == FOUND
    shown = bfp(lines, "--record", "FeedbackEvent").stdout.splitlines()
    assert shown[1] == f"{lines}:3: value_off_scale: value_num 6.0 is outside [1.0, 5.0]"
    assert shown[-1] == "4 of 5 events have defects"


def test_valid_events_end_with_0(tmp_path: Path) -> None:
    path = tmp_path / "good.jsonl"
    path.write_text(LINES[0], encoding="utf-8")
    ended = bfp(path, "--record", "FeedbackEvent")
    assert (ended.exit_code, ended.stdout) == (0, "0 of 1 events have defects\n")


def test_an_avro_container_says_what_its_events_are(tmp_path: Path) -> None:
    path = tmp_path / "events.avro"
    noon = datetime(2024, 3, 1, 12, tzinfo=UTC)
    rows = [{**EVENT, "event_time": noon, "value_num": number} for number in (4.0, 0.5)]
    with path.open("wb") as out:
        fastavro.writer(out, fastavro.parse_schema(contract("FeedbackEvent").schema), rows)
    told = json.loads(bfp(path, "--json").stdout)
    assert (told["record"], told["events"]) == ("FeedbackEvent", 2)
    assert [(d["line"], d["code"]) for d in told["defects"]] == [(2, "value_off_scale")]
    path.write_bytes(path.read_bytes()[:-20])
    ended = bfp(path)
    assert isinstance(ended.exception, ConfigError)
    assert str(path) in str(ended.exception)


@pytest.mark.parametrize(
    ("words", "said"),
    [((), "--record NAME"), (("--record", "Feedback"), "did you mean 'FeedbackEvent'")],
)
def test_a_file_of_json_has_to_be_named(lines: Path, words: tuple[str, ...], said: str) -> None:
    ended = bfp(lines, *words)
    assert isinstance(ended.exception, ConfigError)
    assert said in str(ended.exception)


def test_no_jvm_is_started(lines: Path) -> None:
    """There is none to be found, and the command does not look for it."""
    ended = subprocess.run(
        [sys.executable, "-m", "processor", "schema", "check", str(lines), "--record", EVENTS],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/nowhere"},
        timeout=60,
    )
    assert ended.returncode == 3, ended.stderr
