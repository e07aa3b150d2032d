"""The document says the planted numbers, whatever the order of its rows."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from processor.loops import LoopConfig
from processor.report.document import document
from processor.report.page import page

Tables = dict[str, list[dict[str, Any]]]
SCRIPT = "<script>alert('x')</script>"


def test_the_account_says_the_planted_numbers(told: dict[str, Any]) -> None:
    last = told["accounts"][-1]
    assert last == {
        "batch": 3,
        "planned_at": "2017-01-04T00:00:00Z",
        "expected": 206_114,
        "landed": 206_067,
        "control": 7,
        "aborted": 40,
        "compacted": 0,
        "lost": 0,
        "unexplained": 0,
        "proved": True,
        "typed": 206_067,
        "replayed": 0,
        "recovered": 0,
        "valid": 206_050,
        "quarantined": 17,
        "watermark": "2017-01-03T23:00:00Z",
    }


def test_a_hole_without_a_cause_is_said(tables: Tables, loop: LoopConfig) -> None:
    tables["proofs"][-2]["landed"] -= 5
    made = document(tables, 3, [loop])
    assert made["accounts"][-1]["unexplained"] == 5
    assert "5 unexplained" in made["summary"][0]["text"]
    assert "none lost" not in made["summary"][0]["text"]


def test_a_planned_batch_is_not_said_to_have_landed(tables: Tables, loop: LoopConfig) -> None:
    tables["proofs"] = [row for row in tables["proofs"] if row["batch_id"] < 3]
    made = document(tables, 3, [loop])
    assert made["summary"][0]["text"] == "206,114 offsets planned, not landed yet."
    assert made["accounts"][-1]["unexplained"] == 0
    assert made["ranges"][0]["landed"] is None
    assert "not landed yet" in page(made)


def test_the_summary_says_what_happened(told: dict[str, Any]) -> None:
    said = {(s["about"], s["text"]) for s in told["summary"]}
    assert {
        ("batch", "206,067 of 206,114 offsets landed; 7 control, 40 aborted; none lost."),
        ("batch", "17 quarantined, 2 kinds of defect."),
        (
            "employment",
            "Of 100,000 inferences, 61.0% are known and 30.0% are too early to know.",
        ),
        ("employment", "Version 1: accuracy 0.777 (0.757 to 0.797) on 1,000 outcomes."),
        ("employment", "Features of version 1: 1 DRIFT (SCHL), 1 STABLE, 1 INSUFFICIENT."),
        (
            "employment",
            "Candidate 2 against version 1: PROMOTE: overall +0.0312: better, and no slice fails.",
        ),
        ("employment", "Dataset employment-train v000003: 48,765 rows."),
        ("employment", "Dataset employment-rare: no version: 41.5 effective rows of 80."),
        (
            "employment",
            "Decision: FIRED metric_below: metric_below says: accuracy 0.7777 against 0.7923.",
        ),
    } <= said


def test_a_batch_without_a_trigger_says_so(tables: Tables, loop: LoopConfig) -> None:
    texts = [s["text"] for s in document(tables, 2, [loop])["summary"]]
    assert "Decision: no trigger; 3 rules looked." in texts


def test_each_part_of_a_loop_is_told(told: dict[str, Any]) -> None:
    (loop,) = told["loops"]
    assert loop["standings"][-1]["late"] == {"n": 321, "share": 0.00321}
    assert loop["standings"][-1]["total"] == 100_000
    assert [each["feature"] for each in loop["drift"]] == ["SCHL", "AGEP", "WKHP"]
    (broken,) = loop["violations"]
    assert (broken["feature"], broken["metric"]) == ("AGEP", "features.out_of_range")
    assert (broken["value"], broken["n"]) == (0.0234, 765)
    (one,) = loop["candidates"]
    assert (one["candidate"], one["baseline"], one["verdict"]) == ("2", "1", "PROMOTE")
    assert [row["slice"] for row in one["slices"]] == ["all", "sex=1", "sex=2"]
    assert loop["datasets"][0]["dropped"] == {"duplicate": 56, "not_allowed": 1234}
    refused = {"dataset": "employment-rare", "batch": 3, "reason": "41.5 effective rows of 80"}
    assert loop["refused_versions"] == [refused]
    assert {each["metric"] for each in loop["quality"]} == (
        {"accuracy", "precision", "recall", "log_loss"}
    )
    fired = [row for row in loop["decisions"] if row["state"] == "FIRED"]
    place = {"topic": "bfp.retraining-triggers", "partition": 0, "offset": 5150}
    assert [row["published"] for row in fired] == [place]
    whole = next(q for q in loop["quality"] if (q["metric"], q["slice"]) == ("accuracy", "all"))
    assert [point["batch"] for point in whole["points"]] == [1, 2, 3]
    assert whole["points"][2]["value"] == pytest.approx(0.777)


def test_later_batches_are_not_looked_at(tables: Tables, loop: LoopConfig) -> None:
    earlier = {name: [r for r in rows if r["batch_id"] <= 2] for name, rows in tables.items()}
    assert document(tables, 2, [loop]) == document(earlier, 2, [loop])


def test_rows_in_any_order_give_the_same_bytes(tables: Tables, loop: LoopConfig) -> None:
    shuffled = {name: random.Random(7).sample(rows, len(rows)) for name, rows in tables.items()}
    first, second = (document(each, 3, [loop]) for each in (tables, shuffled))
    assert json.dumps(first) == json.dumps(second)
    assert page(first) == page(second)


def test_a_loop_that_was_taken_away_is_still_told_of(tables: Tables) -> None:
    made = document(tables, 3, [])
    assert [loop["loop"] for loop in made["loops"]] == ["employment"]
    assert "no longer configured" in page(made)


def test_the_document_is_strict_json(tables: Tables, loop: LoopConfig) -> None:
    tables["measurements"][0]["value"] = float("nan")
    text = json.dumps(document(tables, 3, [loop]), allow_nan=False)
    assert json.loads(text)["batch"] == 3


def test_rows_that_stand_for_unequally_many_say_how_many_they_are_worth(
    tables: Tables, loop: LoopConfig
) -> None:
    whole = {"batch_id": 3, "metric": "accuracy", "slice": "all", "model_version": "1"}
    for row in tables["measurements"]:
        if whole.items() <= row.items():
            row["effective_n"] = 4321.5
    made = document(tables, 3, [loop])
    assert [each["text"] for each in made["summary"] if "4,321.500 effective" in each["text"]]
    assert "4,321.500 effective" in page(made)
    (found,) = (q for q in made["loops"][0]["quality"] if whole.items() >= _named(q).items())
    assert [point["effective_n"] for point in found["points"]] == [None, None, 4321.5]


def _named(series: dict[str, object]) -> dict[str, object]:
    return {name: series[name] for name in ("metric", "slice", "model_version")}
