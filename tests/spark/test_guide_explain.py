"""The guide to datasets: why a row is in a version is told as it shows, decision and all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pyspark.sql import SparkSession

from processor.cli.explain import COMMAND
from processor.config import Config, load
from processor.datasets.manifest import text
from processor.stages.recipes import kept, recipes
from processor.tables import BATCHES, COORDINATES, DATASET_ROWS, DATASETS, OUTCOMES, PROOFS, TYPED
from processor.warehouse import Warehouse
from tests.spark.planted import Row, typed
from tests.spark.population_rows import put

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guide" / "datasets.md").read_text(encoding="utf-8")
ASKED, SHOWN = re.findall(r"```sh\nbfp explain row (.*?)\n```\n\n```\n(.*?)```", PAGE, re.DOTALL)[0]
VERSION, NAME = ASKED.split()
SERVED_AT = datetime(2016, 12, 24, 4, 36, 59, 142794, UTC)
MARKS = {
    1: datetime(2016, 12, 31, 20, tzinfo=UTC),
    2: datetime(2017, 12, 31, 18, 10, 6, tzinfo=UTC),
}


def event(table: str, batch: int, offset: int, schema: int, **told: Any) -> Row:  # noqa: ANN401  # any field
    row = typed(TYPED[table], {"inference_id": NAME, **told}, batch, offset)
    topic = f"bfp.{table.replace('_', '-')}"
    row["origin"] |= {"topic": topic, "partition": 2, "schema": f"confluent:{schema}"}
    return row


def place(row: Row) -> Row:
    return {name: row["origin"][name] for name in ("batch_id", *COORDINATES)}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A warehouse with the prediction and the answer that the guide's output tells of."""
    config = load(None, [f"loops={ROOT / 'conf' / 'loops'}", f"warehouse={tmp_path}"], {})
    made, (source,) = Warehouse(config.warehouse), recipes(config)
    served = event(
        *("inferences", 1, 375, 4),
        event_id="of-it",
        event_time=SERVED_AT,
        response_time=SERVED_AT,
        subject_key="d91cdfbd4a5500e8457d54ae301ddf85",
        model_name="employment-classifier",
        role="PRIMARY",
        status="OK",
        training_allowed=True,
        log_keep_prob=1.0,
    )
    answered = event(
        *("ground_truth", 2, 360, 5),
        event_id="01596c9c-c79f-7c47-ae31-693c53be07a1",
        event_time=SERVED_AT + timedelta(days=12),
        metric="employed",
        value_bool=True,
        op="CREATE",
    )
    about = {"inference_id": NAME, "origins": [place(served), place(answered)]}
    known = {"loop": "employment", "metric": "employed", "state": "POSITIVE", "timing": "ON_TIME"}
    said = {"value": "true", "credit": 1.0, "batch_id": 2, "response_time": SERVED_AT}
    in_it = {"batch_id": 2, "dataset": "employment-train", "version": "v000002", "split": "train"}
    for batch, mark in MARKS.items():
        put(made, TYPED["inferences"], [served] if batch == 1 else [], batch)
        put(made, TYPED["ground_truth"], [answered] if batch == 2 else [], batch)
        put(made, OUTCOMES, [{**about, **known, **said}] if batch == 2 else [], batch)
        put(made, DATASET_ROWS, [{**about, **in_it}] if batch == 2 else [], batch)
        named = {"dataset": "employment-train", "version": f"v{batch:06d}", "batch_id": batch}
        put(made, DATASETS, [named], batch)
        put(made, PROOFS, [{"batch_id": batch, "watermark": mark}], batch)
        put(made, BATCHES, [{"batch_id": batch, "planned_at": mark, "topic": "t"}], batch)
    manifest = Path(made.uri("dataset_files", *VERSION.split("/"), "manifest.json"))
    manifest.parent.mkdir(parents=True)
    manifest.write_text(text({"recipe": kept(source)}), encoding="utf-8")
    return config


def test_why_a_row_is_in_a_version_is_told_as_it_shows(
    config: Config, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def ours(*_: object) -> Iterator[Any]:
        yield lambda: spark

    monkeypatch.setattr("processor.cli.explain.config_of", lambda *_: config)
    monkeypatch.setattr("processor.cli.explain.on_demand", ours)
    ended = CliRunner().invoke(COMMAND, ["row", VERSION, NAME], catch_exceptions=False)
    assert ended.stdout == SHOWN
