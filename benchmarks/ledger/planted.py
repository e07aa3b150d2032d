"""A world in a warehouse, as `snapshot` and `validate` would have left it: one commit a batch."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from benchmarks.alone import HOME
from benchmarks.ledger import rows, world
from benchmarks.ledger.rows import answers, inferences
from benchmarks.ledger.world import START, World
from processor.local.spark import on_demand
from processor.table import Table
from processor.tables import BATCHES, PROOFS, TYPED
from processor.warehouse import Warehouse

WRITER = "bench"
DONE = "done"


def place(wanted: World) -> Path:
    """Where the world is, or will be; another generator makes another."""
    sources = (Path(str(module.__file__)).read_bytes() for module in (rows, world))
    version = sha256(b"".join(sources)).hexdigest()[:8]
    return HOME / "worlds" / version / wanted.name


def is_planted(wanted: World) -> bool:
    """Whether it is there whole."""
    return (place(wanted) / DONE).is_file()


def plant(wanted: World) -> None:
    """Plants it anew."""
    home = place(wanted)
    shutil.rmtree(home, ignore_errors=True)
    with on_demand({}, lambda _: None) as start:
        spark, warehouse = start(), Warehouse(str(home))
        for batch in range(1, wanted.batches + 1):
            _plant(spark, warehouse, wanted, batch)
    (home / DONE).touch()


def _plant(spark: SparkSession, warehouse: Warehouse, wanted: World, batch: int) -> None:
    for name, made in (("inferences", inferences), ("feedback", answers)):
        warehouse.append_frame(made(spark, wanted, batch), TYPED[name], WRITER, batch)
        landed, _ = warehouse.files(TYPED[name], batch)
        _say(warehouse, BATCHES, f"{WRITER}/{name}", _range(name, landed, batch))
    watermark = {"batch_id": batch, "watermark": wanted.watermark(batch)}
    _say(warehouse, PROOFS, WRITER, watermark)


def _range(name: str, landed: int, batch: int) -> dict[str, Any]:
    told = {"topic": f"bfp.{name}", "partition": 0, "start_offset": 0, "end_offset": landed}
    place = {"topic_id": name, "log_start_offset": 0, "high_watermark": landed, "left_over": 0}
    run = {"planned_at": START, "run_id": WRITER, "config_hash": WRITER, "code_version": WRITER}
    return {"batch_id": batch, "first_seen": False, **told, **place, **run}


def _say(warehouse: Warehouse, table: Table, writer: str, row: dict[str, Any]) -> None:
    whole = {**dict.fromkeys(table.schema.names), **row}
    warehouse.append_once(table, [whole], writer, row["batch_id"])
