"""A source that misbehaves, from its answers to the dataset that leaves them out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

from processor.batches import Batch
from processor.config import load
from processor.datasets.chain import chain
from processor.datasets.supervised import KEPT, Recipe
from processor.loops import DatasetConfig
from processor.stages import compile as compile_
from processor.stages import measure
from processor.stages.base import Context
from processor.stages.choices import choose
from processor.stages.recipes import POLICIES
from processor.table import Table
from processor.tables import MEASUREMENTS, PROOFS, SOURCES, TYPED
from processor.warehouse import Warehouse

Row = dict[str, Any]

T0 = datetime(2024, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OUTPUTS = 12  # of each batch
RATERS = ("ann", "ben", "cat")
LOOP = {
    "loop": "chat",
    "model": "bot",
    "outcome": {"metric": "good", "signal": "thumbs", "window": "1d"},
}


def output(batch: int, number: int) -> Row:
    base = {"inference_id": f"{batch}.{number}", "event_time": at(batch, 0), "session_id": "s"}
    base |= {"role": "PRIMARY", "status": "OK", "model_name": "bot", "model_version": "1"}
    base |= {"features_num": [], "features_str": [], "training_allowed": True}
    return {**base, "log_keep_prob": 1.0}


def thumb(batch: int, number: int, rater: str, place: int) -> Row:
    """The bot is faster than anybody can be, and says something else, and is last in batch 2."""
    name, bot = f"{batch}.{number}", rater == "bot"
    last = bot and number % 2 == 0
    return {
        "event_id": f"{name}.{rater}",
        "event_time": at(batch, 2 * number + 1) + timedelta(seconds=50 if last else place),
        "source": "app",
        "kind": "THUMBS",
        "level": "INFERENCE",
        "inference_id": name,
        "metric": "good",
        "op": "CREATE",
        "value_bool": bot != (number % 3 == 0),
        "rater_kind": "CROWD",
        "rater_id": rater,
        "reaction_ms": 20 if bot else 3000,
    }


def at(batch: int, minute: int) -> datetime:
    return T0 + timedelta(days=batch) + minute * MINUTE


def typed(table: Table, row: Row, batch: int, offset: int) -> Row:
    origin = {
        "batch_id": batch,
        "topic": table.name,
        "partition": 0,
        "offset": 100 * batch + offset,
    }
    origin |= {"timestamp": T0, "schema": "s"}
    lead = {"batch_id": batch, "attempt": 1, "defects": [], "origin": origin}
    return {**dict.fromkeys(table.schema.names), **lead, **row}


@pytest.fixture(scope="module")
def context(spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Context:
    """Two batches, the last measured twice."""
    home = tmp_path_factory.mktemp("misbehaving")
    (home / "loops").mkdir()
    (home / "loops" / "chat.yaml").write_text(yaml.safe_dump(LOOP))
    config = load(None, (f"loops={home / 'loops'}",), {})
    made = Warehouse(str(home / "warehouse"))
    context = Context(config, made, "run", lambda: spark_session, lambda _: None)
    for number in (1, 2):
        fill(made, number)
        compile_.STAGE.run(context, batch(number))
        measure.STAGE.run(context, batch(number))
    measure.STAGE.run(context, batch(2))
    return context


def batch(number: int) -> Batch:
    return Batch(number, (), T0, "run", "hash", "code")


def fill(made: Warehouse, number: int) -> None:
    raters = (*RATERS, "bot")
    rows = {
        "inferences": [output(number, each) for each in range(OUTPUTS)],
        "feedback": [
            thumb(number, each, rater, place)
            for each in range(OUTPUTS)
            for place, rater in enumerate(raters if each % 2 == 0 else reversed(raters))
        ],
    }
    for name, listed in rows.items():
        filled = [typed(TYPED[name], row, number, offset) for offset, row in enumerate(listed)]
        made.append_once(TYPED[name], filled, "test", number)
    proof = dict.fromkeys(PROOFS.schema.names) | {"batch_id": number, "watermark": at(number, 60)}
    made.append_once(PROOFS, [proof], "test", number)


def test_the_bot_is_found_and_its_reasons_are_told(context: Context) -> None:
    rows = sorted(
        context.warehouse.rows(SOURCES).to_pylist(), key=lambda r: (r["batch_id"], r["source"])
    )
    assert [(r["batch_id"], r["source"], r["verdict"]) for r in rows] == [
        (batch, f"rater:{name}", "MISBEHAVING" if name == "bot" else "UNREMARKABLE")
        for batch in (1, 2)
        for name in sorted((*RATERS, "bot"))
    ]
    bots = [row for row in rows if row["source"] == "rater:bot"]
    assert [(r["answers"], r["timed"], r["fast"], r["compared"]) for r in bots] == [
        (OUTPUTS * batch,) * 4 for batch in (1, 2)
    ]
    assert "reaction" in bots[0]["reasons"]
    assert bots[0]["matched"] == 0
    assert bots[1]["log_e"] > bots[0]["log_e"]
    told = context.warehouse.rows(MEASUREMENTS, where=[("metric", "=", "sources.misbehaving")])
    found = sorted((r["batch_id"], r["n"], r["value"]) for r in told.to_pylist())
    assert found == [(1, 4, 0.25), (2, 4, 0.25)]


def weights(context: Context, treatment: str, number: int) -> dict[str, float | str]:
    """The weight of each output in a version of the batch; or why it is none of its rows."""
    told = DatasetConfig.model_validate({"name": "d", "sources": {"misbehaving": treatment}})
    recipe = Recipe(told, chain({"policy": "all"}, POLICIES, "test"))
    (loop,) = context.config.loop.values()
    choice = choose(context, batch(number), loop, recipe)
    rows = choice.decided.select("inference_id", "reason", "weight").collect()
    choice.release()
    return {r["inference_id"]: r["weight"] if r["reason"] == KEPT else r["reason"] for r in rows}


def test_nothing_is_left_out_before_it_was_found(context: Context) -> None:
    assert weights(context, "exclude", 1) == {f"1.{n}": 1.0 for n in range(OUTPUTS)}


@pytest.mark.parametrize(
    ("treatment", "becomes"), [("keep", 1.0), ("exclude", "source"), ("downweight", 0.1)]
)
def test_answers_of_the_bot_that_count_are_treated_as_the_recipe_says(
    context: Context, treatment: str, becomes: float | str
) -> None:
    """It had the last word on every other output of batch 2."""
    found = weights(context, treatment, 2)
    assert {name: each for name, each in found.items() if name.startswith("2.")} == {
        f"2.{n}": becomes if n % 2 == 0 else 1.0 for n in range(OUTPUTS)
    }


def test_the_answers_of_a_batch_are_measured(context: Context) -> None:
    rows = context.warehouse.rows(MEASUREMENTS, where=[("batch_id", "=", 2)]).to_pylist()
    found = {r["metric"]: (r["value"], r["n"]) for r in rows if r["metric"].endswith("_rate")}
    assert found == {
        "feedback.duplicate_rate": (0.0, 48),
        "feedback.near_duplicate_rate": (0.0, 48),
        "feedback.orphan_rate": (0.0, 48),
        "feedback.burst_rate": (0.0, 48),
        "feedback.blank_rate": (0.0, 48),
    }
