"""Commands that an operator falls back on, in this process: its Spark session serves them all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from processor.avro import defects
from processor.avro.contracts import contract
from processor.config import load
from processor.local.stack import Stack
from processor.tables import LOG
from processor.warehouse import Warehouse
from tests.e2e.world import Site
from tests.kafka.lab import T0, Lab, Record, body, by_number, said
from tests.kafka.test_replay import BAD, GOOD, LATER, filled, folder, learn
from tests.unit.cli.conftest import Ended, ended

Bfp = Callable[..., Ended]
LIMIT = 60.0  # seconds
WITH_SPARK = ("run", "replay", "backfill", "verify")


@pytest.fixture
def bfp(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Bfp:
    """Runs a command of a configuration."""

    @contextmanager
    def here(*_: object) -> Iterator[Callable[[], SparkSession]]:
        yield lambda: spark

    monkeypatch.setenv("COLUMNS", "200")
    for name in WITH_SPARK:
        monkeypatch.setattr(f"processor.cli.{name}.on_demand", here)
    return lambda *words, config: ended(monkeypatch, capsys, [*words, "--config", str(config)])


def test_days_that_were_missed_then_a_loss_then_a_replay_then_a_backfill(
    stack: Stack, spark: SparkSession, tmp_path: Path, bfp: Bfp
) -> None:
    text = contract("InferenceEvent").text
    schemas = folder(tmp_path, n1=text, n2=contract("GroundTruth").text)
    settings = {
        "registry": {"url": None, "directory": str(schemas)},
        "defects": {"max_share": 1.0},
        "schedule": {"every": "day"},
    }
    lab = Lab(spark, stack.bootstrap_servers, None, tmp_path, settings=settings).create()
    inferences, config = lab.topic("inferences"), tmp_path / "bfp.yaml"

    def say(day: int, count: int) -> None:
        at = T0 + timedelta(days=day)
        events = [body(said(f"day {day}, {n}", at), text) for n in range(count)]
        lab.send("inferences", [Record(by_number(1, each), at=at) for each in events])

    filled(lab)
    say(1, 3)
    assert lab.config.schedule is not None
    days = ("--since", "2024-03-01", "--until", "2024-03-03")
    missed = bfp("run", "--catch-up", *days, "--json", config=config)
    assert missed.code == 0, missed.document
    assert [(each["batch"], each["cut_time"][:10]) for each in missed.document["batches"]] == [
        *[(1, "2024-03-02"), (2, "2024-03-03")]
    ]
    assert (landed(lab, 1), landed(lab, 2)) == (2 * (GOOD + LATER) + BAD + 1, 3)

    say(2, 5)
    (end,) = (row["end_offset"] for row in lab.rows("batches") if of(row, inferences, 0, batch=2))
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    (gone,) = admin.delete_records([TopicPartition(inferences, 0, end + 2)]).values()
    gone.result(LIMIT)
    lost = bfp("run", "--json", config=config)
    assert (lost.code, lost.document["error"]) == (4, "LossDetected")
    assert f"{inferences}/0 [{end}, {end + 2})" in lost.document["what"]
    assert "--accept-loss" in lost.document["remedy"]
    accepted = bfp("run", "--accept-loss", "--json", config=config)
    assert (accepted.code, accepted.document["batch"], landed(lab, 3)) == (0, 3, 3)

    told = bfp("status", config=config).out
    (row,) = (line for line in told.splitlines() if defects.UNKNOWN_SCHEMA in line)
    assert [cell.strip() for cell in row.strip("│").split("│")][:4] == [
        *("inferences", defects.UNKNOWN_SCHEMA, str(LATER), f"{inferences}/1 offset 0")
    ]

    learn(tmp_path)
    some = ("--code", defects.UNKNOWN_SCHEMA, "--range", f"{inferences}/1/0-2")
    replayed = bfp("replay", *some, "--json", config=config)
    assert (replayed.code, replayed.document["batch"]) == (0, 4)
    again = {row["inference_id"] for row in lab.rows("outcomes") if row["batch_id"] == 4}
    assert again == {"later 0", "later 1"}

    made = bfp("backfill", "--to", "1", "--json", config=config)
    assert (made.code, made.document["batches"]) == (0, [1])
    assert (Path(made.document["warehouse"]) / "outcomes" / "_delta_log").is_dir()


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


def landed(lab: Lab, batch: int) -> int:
    return sum(row["landed"] for row in lab.rows("proofs") if row["batch_id"] == batch)


def of(row: dict[str, Any], topic: str, partition: int, batch: int) -> bool:
    return (row["topic"], row["partition"], row["batch_id"]) == (topic, partition, batch)
