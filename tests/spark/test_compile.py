"""The stage `compile` on a warehouse of its own: planted answers become planted outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from processor.batches import Batch
from processor.loops import LoopConfig
from processor.stages import compile as stage
from processor.stages.base import Context
from processor.tables import DATASET_ROWS, OUTCOMES, PROOFS, TYPED
from processor.warehouse import Warehouse
from tests.spark.planted import T0, Row, configured, typed

MINUTE = timedelta(minutes=1)
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
    "outcomes": [{"metric": "copied", "signal": "click", "window": "10m", "default": "negative"}],
    "datasets": [{"name": "chat-train"}],
}
MARKS = {1: T0 + 2 * MINUTE, 2: T0 + 60 * MINUTE}


def output(name: str, minute: int, **told: Any) -> Row:  # noqa: ANN401  # any field
    base = {"inference_id": name, "event_time": T0 + minute * MINUTE, "session_id": "s"}
    base |= {"role": "PRIMARY", "status": "OK", "model_name": "bot", "model_version": "1"}
    base |= {"features_num": [("x", 1.0)], "features_str": [], "training_allowed": True}
    return {**base, "log_keep_prob": 1.0, **told}


def said(name: str, minute: int, kind: str, metric: str, **told: Any) -> Row:  # noqa: ANN401  # any field
    base = {"event_id": name, "event_time": T0 + minute * MINUTE, "kind": kind, "op": "CREATE"}
    return {**base, "metric": metric, **told}


STARS = {"level": "SESSION", "session_id": "s", "scale_min": 1.0, "scale_max": 5.0}
PLANTED: Mapping[int, Mapping[str, list[Row]]] = {
    1: {
        "inferences": [
            output("a", 0, variant="blue", deployment_id="d1"),
            output("b", 1, model_version="2"),
            output("shadow", 1, role="SHADOW"),
        ],
        "feedback": [
            said("e1", 5, "RATING", "helpful", value_num=4.0, **STARS),
            said("e2", 2, "ENGAGEMENT", "copied", level="INFERENCE", inference_id="b"),
            said("e3", 2, "ENGAGEMENT", "copied", level="INFERENCE", inference_id="shadow"),
        ],
    },
    2: {"inferences": [output("c", 3), output("d", 4)], "feedback": []},
}
"""Batch 2 brings two outputs of the session that were there before its answer."""


@pytest.fixture(scope="module")
def warehouse(spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    home = tmp_path_factory.mktemp("compile")
    place = Warehouse(str(home))
    context = Context(
        configured(home, {"chat": LoopConfig.model_validate(LOOP)}),
        place,
        "run",
        lambda: spark_session,
        lambda _: None,
    )
    for number, planted in PLANTED.items():
        for name, rows in planted.items():
            table = TYPED[name]
            filled = [typed(table, row, number, 10 * number + at) for at, row in enumerate(rows)]
            place.append_once(table, filled, "test", number)
        proof = dict.fromkeys(PROOFS.schema.names)
        place.append_once(
            PROOFS, [proof | {"batch_id": number, "watermark": MARKS[number]}], "test", number
        )
        stage.run(context, Batch(number, (), T0, "run", "hash", "code"))
    return place


def ledger(warehouse: Warehouse, metric: str) -> list[Row]:
    rows: list[Row] = warehouse.rows(OUTCOMES).to_pylist()
    mine = [row for row in rows if row["metric"] == metric]
    return sorted(mine, key=lambda row: (row["batch_id"], row["inference_id"]))


def test_an_answer_to_a_session_is_divided_and_divided_anew(warehouse: Warehouse) -> None:
    rows = ledger(warehouse, "helpful")
    assert [(r["batch_id"], r["inference_id"], r["credit"]) for r in rows] == [
        (1, "a", 0.5),
        (1, "b", 0.5),
        *((2, name, 0.25) for name in "abcd"),
    ]
    assert {(r["state"], r["value"], r["reward"]) for r in rows} == {("POSITIVE", "true", 0.75)}


def test_a_row_says_which_version_and_variant_served(warehouse: Warehouse) -> None:
    first, second, *_ = ledger(warehouse, "helpful")
    served = ("model_version", "deployment_id", "variant")
    assert [first[name] for name in served] == ["1", "d1", "blue"]
    assert [second[name] for name in served] == ["2", None, None]


def test_a_further_metric_has_outcomes_of_its_own(warehouse: Warehouse) -> None:
    rows = ledger(warehouse, "copied")
    assert [(r["batch_id"], r["inference_id"], r["state"], r["timing"]) for r in rows] == [
        (1, "b", "POSITIVE", "ON_TIME"),
        (2, "a", "NEGATIVE", "DEFAULT"),
        (2, "c", "NEGATIVE", "DEFAULT"),
        (2, "d", "NEGATIVE", "DEFAULT"),
    ]
    assert {row["credit"] for row in rows} == {1.0}


def test_a_dataset_follows_the_first_metric_and_weighs_by_credit(warehouse: Warehouse) -> None:
    rows = warehouse.rows(DATASET_ROWS).to_pylist()
    found = {(row["batch_id"], row["inference_id"]): row["weight"] for row in rows}
    wanted = {(r["batch_id"], r["inference_id"]): r["credit"] for r in ledger(warehouse, "helpful")}
    assert found == wanted
