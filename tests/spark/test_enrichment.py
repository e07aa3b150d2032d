"""The guide to enrichment: its events make the version it shows, and a planted leak makes none."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.cli.explain import COMMAND
from processor.config import Config, load
from processor.datasets.as_of import ASKED
from processor.measurements import REFUSED
from processor.stages import enrichment
from processor.stages.base import Context, Writes
from processor.stages.catalog import refused
from processor.stages.rebuild import rebuild
from processor.stages.recipes import recipes
from processor.stages.versions import build
from processor.tables import (
    BATCHES,
    COORDINATES,
    DATASET_ROWS,
    DATASETS,
    LOG,
    MEASUREMENTS,
    OUTCOMES,
    PROOFS,
    TYPED,
)
from processor.version import code_version
from processor.warehouse import Warehouse
from tests.spark.planted import Row, typed
from tests.spark.population_rows import of, put

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "enrichment.md"
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
SHOWN = [code for _, code in BLOCK.findall(PAGE.read_text(encoding="utf-8"))]
LOOP, EVENTS, EXAMPLE, PRINTED, EXPLAINED = SHOWN
DAY = datetime(2024, 3, 1, tzinfo=UTC)
MARK = DAY + timedelta(days=1)
TABLES = {"SessionContext": "sessions", "InferenceEvent": "inferences"}
SERVED = {
    "model_name": "assistant",
    "model_version": "1",
    "role": "PRIMARY",
    "status": "OK",
    "training_allowed": True,
    "log_keep_prob": 1.0,
    "features_num": [("age", 30.0)],
    "features_str": [("topic", "bills"), ("sex", "f")],
}
FEATURE = {"name": "sex", "semantic": "CATEGORICAL", "nullable": True, "is_protected": True}


def at(text: str) -> datetime:
    hours, minutes = map(int, text.split(":"))
    return DAY + timedelta(hours=hours, minutes=minutes)


def event(line: str, offset: int, batch: int) -> tuple[str, Row]:
    """A typed row of an event that the guide shows."""
    told = json.loads(line)
    name, said = TABLES[told.pop("record")], at(told.pop("said"))
    fixed = SERVED if name == "inferences" else {"training_allowed": True}
    times = {"event_id": f"e{offset}", "event_time": at(told.pop("event_time"))}
    if "attributes" in told:
        told["attributes"] = list(told["attributes"].items())
    row = typed(TYPED[name], {**fixed, **times, **told}, batch, offset)
    row["origin"] |= {"topic": f"bfp.{name}", "timestamp": said, "schema": "confluent:4"}
    return name, row


def outcome(row: Row) -> Row:
    """Every answer is a yes."""
    origin = {name: row["origin"][name] for name in ("batch_id", *COORDINATES)}
    known = {"loop": "assistant", "metric": "helpful", "timing": "ON_TIME", "state": "POSITIVE"}
    said = {"value": "true", "reward": 1.0, "credit": 1.0, "response_time": row["event_time"]}
    named = {"inference_id": row["inference_id"], "batch_id": row["batch_id"]}
    return {**known, **said, **named, "answered_at": row["event_time"], "origins": [origin]}


def fill(made: Warehouse, config: Config, batch: int, lines: Sequence[str], first: int = 0) -> None:
    """What a batch brings: events, an answer to each inference, and that `sex` is protected."""
    rows: dict[str, list[Row]] = {"sessions": [], "inferences": []}
    for offset, line in enumerate(lines, start=first):
        name, row = event(line, offset, batch)
        rows[name].append(row)
    for name, mine in rows.items():
        put(made, TYPED[name], mine, batch)
    defined = {"event_id": f"d{batch}", "feature_set": "f", "valid_from": DAY, "version": "1"}
    put(
        made,
        TYPED["feature_sets"],
        [typed(TYPED["feature_sets"], {**defined, "features": [FEATURE]}, batch, 0)],
        batch,
    )
    put(made, OUTCOMES, [outcome(row) for row in rows["inferences"]], batch)
    put(
        made,
        PROOFS,
        [{"batch_id": batch, "watermark": MARK, "topic": "bfp.sessions", "partition": 0}],
        batch,
    )
    named = {"batch_id": batch, "planned_at": MARK, "run_id": "run", "topic": "bfp.sessions"}
    ends = {"partition": 0, "start_offset": first, "end_offset": first + len(lines)}
    made_by = {"config_hash": config.hash, "code_version": code_version()}
    put(made, BATCHES, [{**named, **ends, **made_by}], batch)
    logged = [{**row["origin"], "batch_id": batch} for row in rows["sessions"]]
    put(made, LOG, [{k: v for k, v in row.items() if k != "schema"} for row in logged], batch)


def compiled(config: Config, spark: SparkSession, number: int) -> list[str]:
    """Builds the versions of a batch; returns what was said."""
    said: list[str] = []
    batch = Batch(number, (), MARK, "run", config.hash, code_version())
    context = Context(config, Warehouse(config.warehouse), "run", lambda: spark, said.append)
    build(context, batch, Writes("compile", context, batch), recipes(config))
    return said


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("enrichment")
    (folder / "loops").mkdir()
    (folder / "loops" / "assistant.yaml").write_text(LOOP, encoding="utf-8")
    return load(None, [f"loops={folder / 'loops'}", f"warehouse={folder / 'warehouse'}"], {})


@pytest.fixture(scope="module")
def said(config: Config, spark_session: SparkSession) -> list[str]:
    """What was said while the version of the guide's events was made; more lands in batch 2."""
    made = Warehouse(config.warehouse)
    fill(made, config, 1, EVENTS.splitlines())
    found = compiled(config, spark_session, 1)
    late = {"record": "SessionContext", "said": "10:02", "event_time": "10:02", "seq": 3}
    served = {"record": "InferenceEvent", "said": "10:50", "event_time": "10:50"}
    two = [
        {**late, "session_id": "s1", "country": "LATE"},
        {**served, "session_id": "s1", "inference_id": "d"},
    ]
    fill(made, config, 2, [json.dumps(each) for each in two], first=10)
    return found


def test_the_example_prints_what_it_shows(
    config: Config,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(config.warehouse)
    exec(compile(EXAMPLE, str(PAGE), "exec"), {})  # noqa: S102  # what the guide shows
    assert capsys.readouterr().out == PRINTED


def test_a_row_leads_back_to_the_state_that_it_was_told(config: Config, said: list[str]) -> None:
    rows = of(Warehouse(config.warehouse), DATASET_ROWS, version="v000001")
    places = {r["inference_id"]: [(o["topic"], o["offset"]) for o in r["origins"]] for r in rows}
    assert places == {
        "a": [("bfp.inferences", 3), ("bfp.sessions", 0)],
        "b": [("bfp.inferences", 4), ("bfp.sessions", 1)],
        "c": [("bfp.inferences", 5)],
    }


def test_a_protected_feature_is_no_column(config: Config, said: list[str]) -> None:
    (row,) = of(Warehouse(config.warehouse), DATASETS, version="v000001")
    path = Path(row["manifest_uri"])
    manifest = json.loads(path.read_text(encoding="utf-8"))
    names = set(pq.read_schema(next(path.parent.rglob("*.parquet"))).names)
    assert {"num.age", "str.topic"} <= names
    assert "str.sex" not in names
    assert manifest["withheld"] == ["sex"]
    assert "assistant-train: protected, so no column: sex" in said
    assert manifest["features"]["session"] == "session."


def test_a_version_is_built_again_though_an_earlier_state_landed_since(
    config: Config, said: list[str], spark_session: SparkSession
) -> None:
    again = rebuild(config, lambda: spark_session, lambda _: None, "assistant-train/v000001")
    assert (again.differences, again.files > 1) == ((), True)


def test_why_a_state_counts_is_what_the_guide_shows(
    config: Config, said: list[str], spark_session: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processor.cli.explain.config_of", lambda *_: config)
    monkeypatch.setattr("processor.stages.explain_row.decided", lambda *_: DECIDED)
    shown = CliRunner().invoke(COMMAND, ["row", "assistant-train/v000001", "a"]).stdout
    assert EXPLAINED in shown
    told = CliRunner().invoke(COMMAND, ["event", "bfp.sessions/0/0"]).stdout
    assert "assistant: a state of its session of a" in told
    assert "in assistant-train/v000001 of a" in told
    assert "in assistant-train/v000001 of b" not in told


DECIDED = {
    "reason": "kept",
    "label": "true",
    "drawn": 0.5,
    "inclusion_prob": 1.0,
    "split": {},
    "sampling": {},
    "weight": {},
}
"""What Spark would be started for."""


def naive(
    rows: DataFrame, states: DataFrame, order: Sequence[str], tolerance: timedelta
) -> DataFrame:
    """The last state of the session, whenever it was: what is easily written, and leaks."""
    last = F.max(F.struct(*order, *(n for n in states.columns if n not in (*order, "key"))))
    by_key = states.groupBy("key").agg(last.alias("state"))
    keyed = rows.withColumn("key", F.col(ASKED)["key"]).join(by_key, "key", "left").drop("key")
    return keyed.withColumn("untimely", F.lit(False))


def test_a_planted_leak_is_counted_and_refused(
    config: Config, said: list[str], spark_session: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of batch 1, the last state is of 10:05, after `a`; of batch 2 it is before `d`."""
    monkeypatch.setattr(enrichment, "as_of", naive)
    found = rebuild(config, lambda: spark_session, lambda _: None, "assistant-train/v000001")
    why = "1 rows are told what came after their inference, such as a by bfp.sessions/0/1"
    assert found.differences == (f"it would not be made: {why}",)


def test_a_version_that_leaks_is_not_made(
    config: Config, said: list[str], spark_session: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told_after(rows: DataFrame, states: DataFrame, *more: Any) -> DataFrame:  # noqa: ANN401
        """A naive join, and a record that reached Kafka after the inference."""
        after = F.lit(at("10:51"))
        return naive(rows, states.withColumn("said_at", after), *more)

    monkeypatch.setattr(enrichment, "as_of", told_after)
    compiled(config, spark_session, 2)
    made = Warehouse(config.warehouse)
    assert [row["version"] for row in of(made, DATASETS)] == ["v000001"]
    (row,) = of(made, MEASUREMENTS, verdict=REFUSED)
    assert (row["metric"], row["value"], row["n"]) == (
        "dataset.assistant-train.leakage.future",
        *(1.0, 1),
    )
    assert "such as d by bfp.sessions/0/1" in row["reason"]
    assert [row["batch_id"] for row in refused(made)] == [2]
