"""Versions from real tables: one that stands on too few rows is not made, and its rows wait."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from pyspark.sql import SparkSession

from processor.batches import Batch
from processor.config import Config, load
from processor.measurements import INSUFFICIENT
from processor.stages.base import Context, Writes
from processor.stages.recipes import recipes
from processor.stages.versions import build
from processor.tables import DATASET_ROWS, DATASETS, MEASUREMENTS, OUTCOMES, PROOFS, TYPED, Table
from processor.warehouse import Warehouse
from processor.weighting import effective_size
from tests.spark.population import KNOWN, MARK, SAID, Row

LOOP = {
    "loop": "l",
    "model": "m",
    "outcome": {"metric": "x", "from": "ground_truth", "window": "1d"},
    "datasets": [
        {"name": "d", "sampling": {"policy": "uniform", "rate": 0.5, "min_effective": 150}},
        {"name": "e", "sampling": {"policy": "all"}},
    ],
}
SIZES = (250, 300)
"""Inferences of each batch; half of them are kept for `d`: too few, then enough."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("choices")
    loops = folder / "loops"
    loops.mkdir()
    (loops / "l.yaml").write_text(yaml.safe_dump(LOOP))
    return load(None, [f"loops={loops}", f"warehouse={folder / 'warehouse'}"], {})


@pytest.fixture(scope="module")
def warehouse(config: Config, spark_session: SparkSession) -> Warehouse:
    """The versions of two batches, the last of them built twice."""
    made = filled(config)
    for number in (1, 2, 2):
        batch = Batch(number, (), MARK + timedelta(days=number), "run", "hash", "code")
        context = Context(config, made, "run", lambda: spark_session, lambda _: None)
        build(context, batch, Writes("compile", context, batch), recipes(config))
    return made


def filled(config: Config) -> Warehouse:
    """Inferences of two batches and what became known of them, each in its own batch."""
    made = Warehouse(config.warehouse)
    for number, size in enumerate(SIZES, start=1):
        start = sum(SIZES[: number - 1])
        said, known = SAID[start : start + size], KNOWN[start : start + size]
        if number == 2:  # one that the first batch knew is taken back
            known = [*known, {**KNOWN[0], "state": "RETRACTED", "value": None}]
        put(made, TYPED["inferences"], [typed(row, number) for row in said], number)
        put(made, OUTCOMES, [outcome(row, number) for row in known], number)
        put(made, PROOFS, [{"batch_id": number, "watermark": MARK}], number)
    return made


def put(warehouse: Warehouse, table: Table, rows: list[Row], number: int) -> None:
    told = pa.Table.from_pylist(rows, schema=table.arrow)
    warehouse.append_once(table, told, "test", number)


def place(row: Row, batch: int) -> Row:
    offset = int(row["inference_id"][1:])
    return {"batch_id": batch, "topic": "t", "partition": 0, "offset": offset}


def typed(row: Row, batch: int) -> Row:
    fixed = {"batch_id": batch, "attempt": 1, "defects": [], "origin": place(row, batch)}
    served = {"model_name": "m", "model_version": "1", "role": "PRIMARY", "status": "OK"}
    return {**row, **fixed, **served, "event_time": row["response_time"], "features_num": []}


def outcome(row: Row, batch: int) -> Row:
    fixed = {"batch_id": batch, "loop": "l", "timing": "ON_TIME", "metric": "x"}
    return {
        **row,
        **fixed,
        "origins": [place(row, min(batch, 1) if row["value"] is None else batch)],
    }


def of(warehouse: Warehouse, table: Table, **equal: object) -> list[dict[str, Any]]:
    where = [(name, "=", value) for name, value in equal.items()]
    rows: list[dict[str, Any]] = warehouse.rows(table, where=where).to_pylist()
    return rows


def able(first: int, end: int) -> set[str]:
    """Inferences of batches that can be chosen."""
    pairs = list(zip(SAID, KNOWN, strict=True))[first:end]
    return {
        said["inference_id"]
        for said, known in pairs
        if said["training_allowed"] and known["state"] != "RETRACTED"
    }


def test_a_version_of_too_few_effective_rows_waits_and_nothing_is_lost(
    warehouse: Warehouse,
) -> None:
    made = of(warehouse, DATASETS, dataset="d")
    assert [(row["version"], row["parent_version"]) for row in made] == [("v000002", None)]
    rows = of(warehouse, DATASET_ROWS, dataset="d")
    assert {row["version"] for row in rows} == {"v000002"}
    kept = {row["inference_id"] for row in rows}
    assert kept <= able(0, 550) - {"i0"}
    assert len(kept & able(0, 250)) > 80, "what waited in batch 1 is in the version of batch 2"
    (version,) = made
    quality, dropped = dict(version["quality"]), dict(version["dropped"])
    expected = effective_size([row["weight"] for row in rows])
    assert quality["effective_rows.all"] == pytest.approx(expected, rel=1e-9)
    assert expected >= 150
    taken_back = sum(known["state"] == "RETRACTED" for known in KNOWN[:550]) + 1
    assert dropped["retracted"] == taken_back
    assert len(kept) + sum(dropped.values()) == 550
    manifest = json.loads(Path(version["manifest_uri"]).read_text(encoding="utf-8"))
    assert manifest["quality"] == quality
    assert manifest["sampling"] == LOOP["datasets"][0]["sampling"]  # type: ignore[index]  # a literal


def test_a_version_that_was_not_made_says_why(warehouse: Warehouse) -> None:
    told = of(warehouse, MEASUREMENTS, metric="dataset.d.effective_rows")
    verdicts = {row["batch_id"]: row["verdict"] for row in told}
    assert verdicts == {1: INSUFFICIENT, 2: None}
    first = next(row for row in told if row["batch_id"] == 1)
    assert 0 < first["value"] < 150
    assert f"of {first['n']}, fewer than min_effective 150" in first["reason"]


def test_where_no_floor_is_set_each_batch_has_its_version_and_together_they_are_all(
    warehouse: Warehouse,
) -> None:
    made = sorted(of(warehouse, DATASETS, dataset="e"), key=lambda row: row["batch_id"])
    chained = [(row["version"], row["parent_version"]) for row in made]
    assert chained == [("v000001", None), ("v000002", "v000001")]
    rows = of(warehouse, DATASET_ROWS, dataset="e")
    assert len(rows) == len({row["inference_id"] for row in rows})
    assert {row["inference_id"] for row in rows} == able(0, sum(SIZES))
