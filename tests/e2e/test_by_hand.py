"""Commands that an operator falls back on, in this process: its Spark session serves them all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from processor.config import load
from processor.tables import LOG
from processor.warehouse import Warehouse
from tests.e2e.world import Site
from tests.unit.cli.conftest import Ended, ended

Bfp = Callable[..., Ended]
WITH_SPARK = ("backfill", "verify")


@pytest.fixture
def bfp(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Bfp:
    """Runs a command of a configuration."""

    @contextmanager
    def here(*_: object) -> Iterator[Callable[[], SparkSession]]:
        yield lambda: spark

    for name in WITH_SPARK:
        monkeypatch.setattr(f"processor.cli.{name}.on_demand", here)
    return lambda *words, config: ended(monkeypatch, capsys, [*words, "--config", str(config)])


def test_a_past_batch_is_compiled_again_beside_the_warehouse(undisturbed: Site, bfp: Bfp) -> None:
    made = bfp("backfill", "--to", "1", "--json", config=undisturbed.config)
    assert (made.code, made.document["batches"]) == (0, [1])
    beside = Path(made.document["warehouse"])
    assert beside != undisturbed.warehouse
    assert DeltaTable(str(beside / "outcomes")).to_pyarrow_table().num_rows > 0


def test_a_warehouse_that_a_run_filled_is_as_it_was_proven(
    undisturbed: Site, tmp_path: Path, bfp: Bfp
) -> None:
    held = Warehouse(str(undisturbed.warehouse)).rows(LOG).num_rows
    verified = bfp("verify", "--kafka", "--json", config=undisturbed.config)
    assert (verified.code, verified.document["findings"]) == (0, [])
    assert verified.document["rows"] == verified.document["compared"] == held > 0
    shutil.copytree(undisturbed.warehouse, tmp_path / "warehouse")
    tampered = DeltaTable(str(tmp_path / "warehouse" / "ground_truth"))
    tampered.alter.set_table_properties({"delta.appendOnly": "false"})
    first = tampered.to_pyarrow_table()["event_id"][0].as_py()
    tampered.delete(f"event_id = '{first}'")
    moved = ("--set", f"warehouse={tmp_path / 'warehouse'}")
    verified = bfp("verify", *moved, "--json", config=undisturbed.config)
    (finding,) = verified.document["findings"]
    assert (verified.code, finding["batch"]) == (4, 1)
    assert finding["topic"] == load(undisturbed.config).topics.ground_truth
    assert "typed rows stand for" in finding["what"]
