"""Open Bandit: impressions as inferences, clicks as feedback, and what another policy is worth."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from processor.batches import Batch
from processor.loops import LoopConfig
from processor.stages import compile as stage
from processor.stages.base import Context
from processor.tables import DATASETS, PROOFS, TYPED
from processor.warehouse import Warehouse
from processor.weighting import hajek
from tests.spark.planted import T0, Row, configured, typed
from tests.spark.population_rows import of

ROOT = Path(__file__).parents[2]
LOG = ROOT / "data" / "open_bandit_bts_all.parquet"
GUIDE = ROOT / "docs" / "guide" / "sampling.md"
ITEMS = 80
IMPRESSIONS, CLICKS = 10_000, 42
WINDOW, LATER = timedelta(hours=1), timedelta(seconds=5)
"""How long a click is waited for; the data do not say when one came."""
MARKS = {1: datetime(2019, 11, 28, tzinfo=UTC), 2: datetime(2019, 12, 1, 2, tzinfo=UTC)}
LOOP = LoopConfig.model_validate(
    {
        "loop": "shop",
        "model": "bts",
        "outcome": {
            "metric": "clicked",
            "signal": "click",
            "window": "1h",
            "default": "negative",
        },
        "datasets": [{"name": "shop-clicks", "mode": "full"}],
    }
)


def impression(row: Row, number: int) -> Row:
    users = [(name, row[name]) for name in row if name.startswith("user_feature_")]
    return {
        "inference_id": f"i{number}",
        "event_time": row["timestamp"],
        "model_name": "bts",
        "model_version": "1",
        "role": "PRIMARY",
        "status": "OK",
        "pred_label": str(row["item_id"]),
        "propensity": row["propensity_score"],
        "log_keep_prob": 1.0,
        "training_allowed": True,
        "features_num": [("position", float(row["position"]))],
        "features_str": users,
    }


def click(row: Row, number: int) -> Row:
    return {
        "event_id": f"c{number}",
        "event_time": row["timestamp"] + LATER,
        "level": "INFERENCE",
        "inference_id": f"i{number}",
        "kind": "ENGAGEMENT",
        "metric": "clicked",
        "op": "CREATE",
    }


@pytest.fixture(scope="module")
def log() -> list[Row]:
    read = pq.read_table(LOG).to_pylist()
    rows = [{**row, "timestamp": datetime.fromisoformat(row["timestamp"])} for row in read]
    assert (len(rows), sum(row["click"] for row in rows)) == (IMPRESSIONS, CLICKS)
    return rows


@pytest.fixture(scope="module")
def warehouse(
    log: list[Row], spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Warehouse:
    """The week in two batches, each compiled when it was there."""
    home = tmp_path_factory.mktemp("bandit")
    place = Warehouse(str(home))
    config = configured(home, {"shop": LOOP})
    context = Context(config, place, "run", lambda: spark_session, lambda _: None)
    before = datetime(2019, 1, 1, tzinfo=UTC)
    for batch, mark in MARKS.items():
        mine = [(row, n) for n, row in enumerate(log) if before <= row["timestamp"] < mark]
        planted = {
            "inferences": [(impression(row, n), n) for row, n in mine],
            "feedback": [(click(row, n), n) for row, n in mine if row["click"]],
        }
        for name, rows in planted.items():
            filled = [typed(TYPED[name], row, batch, offset) for row, offset in rows]
            place.append_once(TYPED[name], filled, "test", batch)
        proof = dict.fromkeys(PROOFS.schema.names) | {"batch_id": batch, "watermark": mark}
        place.append_once(PROOFS, [proof], "test", batch)
        stage.run(context, Batch(batch, (), T0, "run", "hash", "code"))
        before = mark
    return place


class Rows(NamedTuple):
    """What files hold of a dataset: ids, clicks, weights and propensities."""

    name: list[str]
    clicked: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float64]
    propensity: npt.NDArray[np.float64]


def rows_of(warehouse: Warehouse, version: str) -> Rows:
    """Every row of a version, from the files that its manifest names."""
    (made,) = of(warehouse, DATASETS, version=version)
    folder = Path(made["manifest_uri"]).parent
    manifest = json.loads(Path(made["manifest_uri"]).read_text(encoding="utf-8"))
    files = [folder / file["path"] for split in manifest["splits"] for file in split["files"]]
    read = pa.concat_tables([pq.ParquetFile(file).read() for file in files])
    names = manifest["columns"]
    label, weight, propensity = (read[names[n]] for n in ("label", "weight", "propensity"))
    return Rows(
        read[names["id"]].to_pylist(),
        np.array(label.to_pylist()) == manifest["positive"],
        weight.to_numpy(),
        propensity.to_numpy(),
    )


def test_every_row_says_with_what_probability_its_item_was_shown(
    warehouse: Warehouse, log: list[Row]
) -> None:
    rows = rows_of(warehouse, "v000002")
    found = dict(zip(rows.name, zip(rows.clicked, rows.propensity, strict=True), strict=True))
    assert found == {
        f"i{n}": (bool(row["click"]), row["propensity_score"]) for n, row in enumerate(log)
    }


def test_the_uniform_policy_from_the_log_of_thompson_sampling(warehouse: Warehouse) -> None:
    """Golden: `obp` 0.4.1, SelfNormalizedInverseProbabilityWeighting on the same impressions."""
    rows = rows_of(warehouse, "v000002")
    assert (rows.weight == 1).all(), "all were logged, none was asked for, all were chosen"
    weight = (1 / ITEMS) / rows.propensity
    found = hajek(rows.clicked, weight, min_effective=100)
    assert found.n == IMPRESSIONS
    assert found.value == pytest.approx(0.00233, abs=5e-6)
    assert found.effective_n == pytest.approx(340, abs=0.5)
    refused = hajek(rows.clicked, weight, min_effective=500)
    assert (refused.value, refused.ci_low) == (None, None)
    assert refused.reason == "340.4 effective rows of 10000, fewer than 500"


def test_an_impression_is_no_row_while_a_click_may_come(
    warehouse: Warehouse, log: list[Row]
) -> None:
    """Those of the hour before the first watermark are not in the first version, unless clicked."""
    assert set(rows_of(warehouse, "v000001").name) == {
        f"i{n}"
        for n, row in enumerate(log)
        if row["timestamp"] < MARKS[1] - WINDOW or (row["click"] and row["timestamp"] < MARKS[1])
    }


def test_the_guides_snippet_says_so_too(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (snippet,) = (each for each in blocks if "propensity" in each)
    monkeypatch.chdir(warehouse.uri("dataset_files"))
    exec(compile(snippet, str(GUIDE), "exec"), {})  # noqa: S102  # our own page
    assert capsys.readouterr().out == "0.00233, on 340 effective rows of 10000\n"
