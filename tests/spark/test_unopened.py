"""Files that hold nothing but what is settled are not opened: a batch is compiled without them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from processor.batches import Batch
from processor.loops import LoopConfig
from processor.stages import compile as stage
from processor.stages.base import Context
from processor.table import Table
from processor.tables import BATCHES, DATASETS, OUTCOMES, PROOFS, TYPED
from processor.warehouse import Warehouse
from tests.spark.planted import T0, Row, configured, typed

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SAID = {1: T0, 2: T0 + 30 * DAY, 3: T0 + 31 * DAY}
"""When the inference of each batch responded; its answer comes ten minutes later."""
LOOP = LoopConfig.model_validate(
    {
        "loop": "own",
        "model": "bot",
        "outcome": {"metric": "copied", "signal": "click", "window": "1h", "late": "2h"},
        "datasets": [
            {"name": "d"},
            {"name": "used", "late": "use"},
            {"name": "trusted", "sources": {"misbehaving": "exclude"}},
        ],
    }
)


@pytest.fixture
def context(spark_session: SparkSession, tmp_path: Path) -> Context:
    """A warehouse with three batches landed, the first two compiled, and a version of each."""
    place = Warehouse(str(tmp_path))
    for number, at in SAID.items():
        about = {"inference_id": f"i{number}", "event_id": f"e{number}", "model_name": "bot"}
        shown = {"role": "PRIMARY", "status": "OK", "training_allowed": True, "log_keep_prob": 1.0}
        said = {**about, **shown, "event_time": at, "features_num": [("x", 1.0)]}
        heard: Row = {"event_id": f"a{number}", "inference_id": f"i{number}", "op": "CREATE"}
        heard |= {"event_time": at + HOUR / 6, "kind": "ENGAGEMENT", "metric": "copied"}
        heard["level"] = "INFERENCE"
        for name, row in (("inferences", said), ("feedback", heard)):
            known = {field: row[field] for field in row if field in TYPED[name].schema.names}
            place.append_once(TYPED[name], [typed(TYPED[name], known, number, 0)], "test", number)
        write(place, PROOFS, number, {"watermark": at + 5 * HOUR})
        write(place, BATCHES, number, {"topic": "t", "planned_at": T0})
        if number < max(SAID):
            told = {"loop": "own", "inference_id": f"i{number}", "metric": "copied"}
            told |= {"state": "POSITIVE", "timing": "ON_TIME", "value": "true"}
            write(place, OUTCOMES, number, {"response_time": at, **told})
            names = (dataset.name for dataset in LOOP.datasets)
            write(
                place, DATASETS, number, *({"dataset": n, "version": f"v{number}"} for n in names)
            )
    config = configured(tmp_path, {"own": LOOP})
    return Context(config, place, "run", lambda: spark_session, lambda _: None)


def write(place: Warehouse, table: Table, number: int, *rows: Row) -> None:
    filled = dict.fromkeys(table.schema.names)
    told = [{**filled, **row, "batch_id": number} for row in rows]
    place.append_once(table, told, "test", number)


def remove(place: Warehouse, table: Table, batch: int) -> None:
    """Removes the files that a batch wrote; the table still lists them."""
    listed = DeltaTable(place.uri(table.name)).get_add_actions(flatten=True)
    mine = [row for row in pa.table(listed).to_pylist() if row["max.batch_id"] == batch]
    assert mine
    for row in mine:
        Path(place.uri(table.name, row["path"])).unlink()


def test_a_batch_is_compiled_though_the_files_of_what_is_settled_are_gone(
    context: Context,
) -> None:
    for table in (TYPED["inferences"], TYPED["feedback"], OUTCOMES):
        remove(context.warehouse, table, 1)
    last = max(SAID)
    stage.run(context, Batch(last, (), T0, "run", "hash", "code"))
    found = context.warehouse.rows(OUTCOMES, where=[("batch_id", "=", last)]).to_pylist()
    assert [(row["inference_id"], row["state"]) for row in found] == [(f"i{last}", "POSITIVE")]
    versions = context.warehouse.rows(DATASETS, where=[("batch_id", "=", last)]).to_pylist()
    assert [row["row_count"] for row in versions] == [1, 1, 1]
