"""Why and why not, told from planted tables: no JVM is started, and no broker asked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml
from click.testing import CliRunner

from processor.cli.explain import COMMAND
from processor.config import Config, load
from processor.datasets.manifest import text
from processor.errors import ConfigError
from processor.measurements import REFUSED
from processor.stages import recipes
from processor.stages.explain_event import explain_event
from processor.stages.explain_row import explain_row
from processor.table import Table
from processor.tables import (
    BATCHES,
    DATASET_ROWS,
    DATASETS,
    LOG,
    LOSSES,
    MEASUREMENTS,
    OUTCOMES,
    PROOFS,
    TYPED,
)
from processor.warehouse import Warehouse

Row = dict[str, Any]

T0 = datetime(2024, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MARKS = {1: T0 + 10 * MINUTE, 2: T0 + 120 * MINUTE, 3: T0 + 130 * MINUTE}
LOOP = {
    "loop": "chat",
    "model": "bot",
    "outcome": {
        "metric": "helpful",
        "signal": "rating",
        "threshold": 0.5,
        "level": "session",
        "credit": {"rule": "uniform"},
        "window": "1h",
    },
    "outcomes": [{"metric": "copied", "signal": "click", "window": "10m"}],
    "datasets": [{"name": "chat-train"}],
}
BROKEN = [{"code": "negative_latency", "detail": "latency_ms"}]
TOPICS = {"inferences": "bfp.inferences", "feedback": "bfp.feedback"}


def output(name: str, batch: int, offset: int, minute: int, **told: Any) -> Row:  # noqa: ANN401  # any field
    base = {"inference_id": name, "event_time": T0 + minute * MINUTE, "session_id": "s"}
    base |= {"role": "PRIMARY", "status": "OK", "model_name": "bot", "model_version": "1"}
    return {**typed("inferences", batch, offset), "event_id": f"of-{name}", **base, **told}


def stars(name: str, batch: int, offset: int, minute: int, **told: Any) -> Row:  # noqa: ANN401  # any field
    base = {"event_id": name, "event_time": T0 + minute * MINUTE, "kind": "RATING", "op": "CREATE"}
    base |= {"metric": "helpful", "level": "SESSION", "session_id": "s", "value_num": 4.0}
    scale = {"scale_min": 1.0, "scale_max": 5.0}
    return {**typed("feedback", batch, offset), **base, **scale, **told}


def typed(table: str, batch: int, offset: int) -> Row:
    origin = {"batch_id": batch, "topic": TOPICS[table], "partition": 0, "offset": offset}
    origin |= {"timestamp": T0, "schema": "confluent:7"}
    lead = {"batch_id": batch, "attempt": 1, "defects": [], "origin": origin}
    return {**dict.fromkeys(TYPED[table].schema.names), **lead}


def origin(topic: str, batch: int, offset: int) -> Row:
    return {"batch_id": batch, "topic": topic, "partition": 0, "offset": offset}


def known(name: str, batch: int, timing: str, *origins: Row) -> Row:
    base = {"inference_id": name, "batch_id": batch, "loop": "chat", "metric": "helpful"}
    said = {"state": "POSITIVE", "timing": timing, "value": "true", "credit": 0.5}
    return {**base, **said, "origins": list(origins)}


CLICK = {"kind": "ENGAGEMENT", "metric": "copied", "level": "INFERENCE", "inference_id": "timely"}
INFERENCES = {
    1: [
        output("a", 1, 0, 0),
        output("b", 1, 1, 1),
        output("shadow", 1, 2, 1, role="SHADOW"),
        output("other", 1, 3, 1, model_name="parrot"),
        output("broken", 1, 4, 1, defects=BROKEN),
        output("alone", 1, 6, 3, session_id="t"),
        output("timely", 1, 7, 3, session_id="u"),
    ],
    2: [],
    3: [output("young", 3, 8, 125), output("a", 3, 9, 0)],
}
FEEDBACK = {
    1: [stars("e1", 1, 0, 5), stars("e2", 1, 1, 5, metric="tasteful")],
    2: [stars("e5", 2, 2, 9, session_id="u")],
    3: [
        stars("e3", 3, 3, 9, session_id="t"),
        stars("e4", 3, 4, 9, session_id="nowhere"),
        stars("e6", 3, 5, 9, scale_min=None, scale_max=None),
        stars("e7", 3, 6, 9, session_id=None, subject_key="u"),
        stars("e5", 3, 7, 9, session_id="u"),
        stars("e8", 3, 8, 10, session_id="u", op="RETRACT", supersedes="e5", value_num=None),
        stars("e9", 3, 9, 10, session_id="nowhere", op="UPDATE", supersedes="gone"),
        stars("e10", 3, 10, 5, **CLICK),
    ],
}
ANSWER = origin("bfp.feedback", 1, 0)
LEDGER = {
    1: [
        known("a", 1, "ON_TIME", origin("bfp.inferences", 1, 0), ANSWER),
        known("b", 1, "ON_TIME", origin("bfp.inferences", 1, 1), ANSWER),
    ],
    2: [],
    3: [
        known("alone", 3, "LATE", origin("bfp.inferences", 1, 6), origin("bfp.feedback", 3, 3)),
    ],
}
ENDS = {
    1: {"inferences": 8, "feedback": 2},
    2: {"inferences": 8, "feedback": 3},
    3: {"inferences": 10, "feedback": 11},
}
"""Offset 5 of the inferences of batch 1 is a hole, and offset 10 was not read yet."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    home = tmp_path_factory.mktemp("explained")
    (home / "chat.yaml").write_text(yaml.safe_dump(LOOP))
    return load(None, [f"warehouse={home}", f"loops={home}"], {})


@pytest.fixture(scope="module")
def warehouse(config: Config) -> Warehouse:
    made = Warehouse(config.warehouse)
    for batch in MARKS:
        _put(made, TYPED["inferences"], INFERENCES[batch], batch)
        _put(made, TYPED["feedback"], FEEDBACK[batch], batch)
        _put(made, OUTCOMES, LEDGER[batch], batch)
        _put(made, LOG, [_logged(row) for row in (*INFERENCES[batch], *FEEDBACK[batch])], batch)
        _put(made, BATCHES, _planned(batch), batch)
        _put(made, PROOFS, _proofs(batch), batch)
        versions = {1: None, 3: "v000001"}
        _put(made, DATASETS, [_version(batch, versions[batch])] if batch in versions else [], batch)
    in_v1 = [{"inference_id": name, "weight": 0.5, "label": "true"} for name in "ab"]
    named = {"dataset": "chat-train", "version": "v000001", "split": "train", "batch_id": 1}
    rows = [{**named, **row, "origins": known_of(str(row["inference_id"]))} for row in in_v1]
    _put(made, DATASET_ROWS, rows, 1)
    why = {"batch_id": 2, "loop": "chat", "verdict": REFUSED, "reason": "too much leaks"}
    _put(made, MEASUREMENTS, [{**why, "metric": "dataset.chat-train.leakage.exact"}], 2)
    (source,) = recipes.recipes(config)
    for version in ("v000001", "v000003"):
        place = Path(made.uri("dataset_files", "chat-train", version, "manifest.json"))
        place.parent.mkdir(parents=True)
        place.write_text(text({"recipe": recipes.kept(source)}))
    return made


def known_of(name: str) -> list[Row]:
    found: list[Row] = next(row["origins"] for row in LEDGER[1] if row["inference_id"] == name)
    return found


def _put(warehouse: Warehouse, table: Table, rows: list[Row], batch: int) -> None:
    blank = dict.fromkeys(table.schema.names)
    warehouse.append_once(table, [{**blank, **row} for row in rows], "test", batch)


def _logged(row: Row) -> Row:
    place = {name: row["origin"][name] for name in ("batch_id", "topic", "partition", "offset")}
    return {**place, "timestamp": T0, "key": b"k", "value": b"12345", "headers": []}


def _planned(batch: int) -> list[Row]:
    starts = ENDS.get(batch - 1, {"inferences": 0, "feedback": 0})
    return [
        {"batch_id": batch, "topic": TOPICS[name], "partition": 0}
        | {"start_offset": starts[name], "end_offset": end}
        for name, end in ENDS[batch].items()
    ]


def _proofs(batch: int) -> list[Row]:
    holes = {"control": int(batch == 1), "aborted": 0, "compacted": 0, "lost": 0}
    row = {"batch_id": batch, "topic": "bfp.inferences", "partition": 0}
    return [{**row, **holes, "watermark": MARKS[batch]}]


def _version(batch: int, parent: str | None) -> Row:
    name = {"dataset": "chat-train", "version": f"v{batch:06d}", "parent_version": parent}
    return {**name, "batch_id": batch, "loop": "chat", "config_hash": "h", "code_version": "1"}


def no_jvm() -> NoReturn:
    pytest.fail("a JVM was started")


def row(config: Config, version: str, name: str) -> Row:
    return explain_row(config, no_jvm, lambda _: None, f"chat-train/{version}", name)


WHY_NOT = {
    ("v000001", "shadow"): "nobody saw its output: role SHADOW, status OK",
    ("v000001", "other"): "it is of the model parrot, and the dataset is of bot",
    ("v000001", "broken"): "its event has defects: negative_latency",
    ("v000001", "young"): "it landed in batch 3, after the version's",
    ("v000001", "alone"): "too early: its window was open until 2024-03-01 01:03:00+00:00",
    ("v000003", "alone"): "no answer on time: its window was closed by 2024-03-01 01:03:00+00:00",
    ("v000003", "young"): "too early: its window was open until 2024-03-01 03:05:00+00:00",
    ("v000003", "a"): (
        "nothing became known of it since the parent version v000001: its last outcome is of "
        "batch 1, and v000001 was made with it"
    ),
}


@pytest.mark.usefixtures("warehouse")
@pytest.mark.parametrize(("asked", "why"), WHY_NOT.items(), ids=map("-".join, WHY_NOT))
def test_why_not(config: Config, asked: tuple[str, str], why: str) -> None:
    told = row(config, *asked)
    assert (told["why"], told["is_in"], told["decision"]) == (why, False, None)


@pytest.mark.usefixtures("warehouse")
def test_a_late_answer_is_shown_and_does_not_count(config: Config) -> None:
    told = row(config, "v000003", "alone")
    (answer,) = told["answers"]
    place = (answer["topic"], answer["partition"], answer["offset"], answer["schema"])
    assert place == ("bfp.feedback", 0, 3, "confluent:7")
    assert (answer["timing"], answer["counts"], answer["credit"]) == ("LATE", False, 1.0)
    assert [each["timing"] for each in told["ledger"]] == ["LATE"]
    early = row(config, "v000001", "alone")
    assert (early["answers"], early["ledger"]) == ([], [])
    assert [each["batch"] for each in early["ledger_since"]] == [3]


@pytest.mark.usefixtures("warehouse")
def test_an_answer_that_is_shared_shows_the_share(config: Config) -> None:
    told = row(config, "v000003", "a")
    (answer,) = told["answers"]
    assert (answer["event_id"], answer["credit"], answer["counts"]) == ("e1", 0.5, True)
    assert (answer["value"], answer["reward"], answer["timing"]) == ("true", 0.75, "ON_TIME")
    assert told["ledger"][0]["origins"] == ["bfp.inferences/0/0", "bfp.feedback/0/0"]


def test_what_is_not_there_is_answered_with_the_nearest(
    config: Config, warehouse: Warehouse
) -> None:
    wrong: Mapping[tuple[str, str], str] = {
        ("v000001", "alnoe"): "did you mean 'alone'?",
        ("v00003", "a"): "did you mean 'chat-train/v000003'?",
        ("v000002", "a"): "chat-train/v000002 was not made: too much leaks",
    }
    for asked, said in wrong.items():
        with pytest.raises(ConfigError) as refusal:
            row(config, *asked)
        assert said in str(refusal.value)
    places = {
        "bfp.feedbak/0/0": "did you mean 'bfp.feedback'?",
        "bfp.feedback/1/0": "use one of 0",
        "bfp.inferences/0/10": "they have read 0 to 9",
        "bfp.erasures/0/0": "no batch has read a partition '0'",
    }
    for place, said in places.items():
        with pytest.raises(ConfigError) as refusal:
            explain_event(config, warehouse, place)
        assert said in str(refusal.value)


def event(config: Config, warehouse: Warehouse, place: str) -> Row:
    (landing,) = explain_event(config, warehouse, place)["landings"]
    found: Row = landing
    return found


def test_an_answer_leads_to_outputs_ledger_and_versions(
    config: Config, warehouse: Warehouse
) -> None:
    told = event(config, warehouse, "bfp.feedback/0/0")
    (attempt,) = told["attempts"]
    assert (told["batch"], told["range"], attempt["schema"]) == (1, [0, 2], "confluent:7")
    assert told["record"] == {"timestamp": T0, "key": "k", "value_bytes": 5, "headers": []}
    about = [(each["metric"], each["inference_id"], each["what"]) for each in told["about"]]
    assert about == [
        *(("helpful", name, "an answer that is ON_TIME") for name in "ab"),
        ("copied", None, "no answer to this"),
    ]
    assert [each.get("credit") for each in told["about"]] == [0.5, 0.5, None]
    assert [each["inference_id"] for each in told["ledger"]] == ["a", "b"]
    placed = [(each["version"], each["inference_id"]) for each in told["versions"]]
    assert placed == [("v000001", "a"), ("v000001", "b")]


def test_what_an_event_is_to_a_loop(config: Config, warehouse: Warehouse) -> None:
    whats = {
        "bfp.feedback/0/1": "no answer to this",
        "bfp.feedback/0/5": "it says nothing of what this asks for",
        "bfp.feedback/0/6": "it has no session_id, by which this finds outputs",
        "bfp.feedback/0/4": "an answer that finds no output: session_id nowhere",
        "bfp.feedback/0/3": "an answer that is LATE",
        "bfp.feedback/0/2": "an answer that is ON_TIME",
        "bfp.inferences/0/2": "an output that nobody saw: role SHADOW, status OK",
        "bfp.inferences/0/0": "an output that somebody saw: role PRIMARY, status OK",
    }
    for place, what in whats.items():
        assert event(config, warehouse, place)["about"][0]["what"] == what, place
    (other,) = event(config, warehouse, "bfp.inferences/0/3")["about"]
    assert (other["loop"], other["what"]) == (None, "no loop asks about the model parrot")
    broken = event(config, warehouse, "bfp.inferences/0/4")
    assert (broken["attempts"][0]["defects"], broken["about"]) == (BROKEN, [])


def test_an_event_that_was_sent_twice_says_where_it_was_before(
    config: Config, warehouse: Warehouse
) -> None:
    befores = {
        "bfp.feedback/0/7": "bfp.feedback/0/2",
        "bfp.feedback/0/2": None,
        "bfp.inferences/0/9": "bfp.inferences/0/0",
        "bfp.inferences/0/0": None,
        "bfp.inferences/0/4": None,
    }
    for place, before in befores.items():
        assert event(config, warehouse, place)["repeats"] == before, place
    answers = row(config, "v000003", "timely")["answers"]
    told = [(each["event_id"], each["offset"], each["repeats"]) for each in answers]
    assert told == [("e5", 2, None), ("e5", 7, "bfp.feedback/0/2"), ("e8", 8, None)]
    assert [each["counts"] for each in answers] == [True, False, False]


def test_an_answer_that_revises_says_which(config: Config, warehouse: Warehouse) -> None:
    revised = {
        "bfp.feedback/0/8": {"event_id": "e5", "place": "bfp.feedback/0/2"},
        "bfp.feedback/0/9": {"event_id": "gone", "place": None},
        "bfp.feedback/0/2": None,
        "bfp.inferences/0/0": None,
    }
    for place, told in revised.items():
        assert event(config, warehouse, place)["revises"] == told, place
    assert event(config, warehouse, "bfp.feedback/0/8")["event"]["op"] == "RETRACT"


def test_the_reward_of_an_answer_is_its_own_or_that_of_its_state(
    config: Config, warehouse: Warehouse
) -> None:
    rewards = {"bfp.feedback/0/2": 0.75, "bfp.feedback/0/8": None, "bfp.feedback/0/10": 1.0}
    for place, reward in rewards.items():
        about = event(config, warehouse, place)["about"]
        assert [each["reward"] for each in about if "reward" in each] == [reward], place


def test_an_offset_that_is_no_record_is_accounted_for(config: Config, warehouse: Warehouse) -> None:
    told = event(config, warehouse, "bfp.inferences/0/5")
    assert (told["record"], told["attempts"]) == (None, [])
    assert told["hole"] == {"is_lost": False, "control": 1, "aborted": 0, "compacted": 0, "lost": 0}
    lost = {"topic": "bfp.inferences", "partition": 0, "start_offset": 5, "end_offset": 6}
    _put(warehouse, LOSSES, [{**lost, "batch_id": 1}], 1)
    assert event(config, warehouse, "bfp.inferences/0/5")["hole"]["is_lost"]


@pytest.mark.usefixtures("warehouse")
def test_people_read_the_same_in_sentences(config: Config) -> None:
    def said(*words: str) -> list[str]:
        places = ("--set", f"warehouse={config.warehouse}", "--set", f"loops={config.loops}")
        ended = CliRunner().invoke(COMMAND, [*words, *places])
        assert ended.exit_code == 0, ended.output
        return [line.strip() for line in ended.stdout.splitlines()]

    row = said("row", "chat-train/v000003", "alone")
    assert row[:2] == ["alone is not in chat-train/v000003 (batch 3):", WHY_NOT["v000003", "alone"]]
    assert "bfp.feedback/0/3: landed in batch 3, schema confluent:7: valid" in row
    assert "e3: CREATE true, reward 0.75, credit 1.0: LATE" in row
    event = said("event", "bfp.feedback/0/0")
    assert event[0] == "batch 1 took the offsets 0 to 1"
    assert "chat/helpful: an answer that is ON_TIME of a, credit 0.5" in event
    assert "in chat-train/v000001 of b: train, label true, weight 0.5" in event
    assert "no loop asks about the model parrot" in said("event", "bfp.inferences/0/3")
    assert "it repeats the event at bfp.feedback/0/2: an event counts once" in said(
        "event", "bfp.feedback/0/7"
    )
    assert "it takes back the event e5, at bfp.feedback/0/2" in said("event", "bfp.feedback/0/8")
    assert "it revises the event gone, which has not landed" in said("event", "bfp.feedback/0/9")
    twice = "e5: CREATE true, reward 0.75, credit 1.0: LATE; it repeats bfp.feedback/0/2"
    assert twice in said("row", "chat-train/v000003", "timely")
    broken = said("event", "bfp.inferences/0/4")[1]
    assert broken.endswith("schema confluent:7: negative_latency (latency_ms)")
    hole = said("event", "bfp.inferences/0/5")[1]
    assert hole.startswith("no record: ")
