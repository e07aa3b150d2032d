"""What is gathered from real Delta tables is what was written there, and the command shows it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml
from click.testing import CliRunner

from processor.cli.report import COMMAND as REPORT
from processor.config import Config, load
from processor.errors import ConfigError
from processor.stages.base import Context
from processor.stages.gather import defect_counts, gathered, typed_counts
from processor.stages.pipeline import stored_batch
from processor.stages.report import STAGE
from processor.tables import (
    BATCHES,
    DATASETS,
    DECISIONS,
    MEASUREMENTS,
    PROOFS,
    RECEIPTS,
    RUNS,
    TYPED,
)
from processor.warehouse import Warehouse

Tables = dict[str, list[dict[str, Any]]]
ERASURES = TYPED["erasures"]


def erasure(batch: int, place: tuple[int, int], *codes: str, attempt: int = 1) -> dict[str, Any]:
    """One typed row with a defect of each code."""
    partition, offset = place
    origin = {"topic": "bfp.erasures", "partition": partition, "offset": offset}
    return {
        **dict.fromkeys(ERASURES.schema.names),
        "batch_id": batch,
        "attempt": attempt,
        "origin": {**origin, "timestamp": datetime(2017, 1, 1, tzinfo=UTC), "schema": None},
        "defects": [{"code": code, "detail": f"{code} at {offset}"} for code in codes],
    }


@pytest.fixture
def warehouse(tmp_path: Path, tables: Tables) -> Warehouse:
    """Three batches; the second has bad erasures, one of them replayed in the third."""
    made = Warehouse(str(tmp_path / "warehouse"))
    rows = [
        [erasure(1, (0, 1)), erasure(1, (0, 2))],
        [
            erasure(2, (1, 9), "missing"),
            erasure(2, (0, 7), "missing", "stale"),
            erasure(2, (0, 5), "missing"),
            erasure(2, (0, 6)),
        ],
        [erasure(3, (0, 8)), erasure(3, (0, 5), attempt=2)],
    ]
    for number, written in enumerate(rows, 1):
        made.append_once(ERASURES, written, "validate/erasures", number)
        for table in (PROOFS, DATASETS, MEASUREMENTS, DECISIONS, RECEIPTS, RUNS):
            mine = [row for row in tables[table.name] if row["batch_id"] == number]
            made.append_once(table, mine, f"test/{table.name}", number)
        planned = [row for row in tables["batches"] if row["batch_id"] == number]
        made.append_once(BATCHES, planned, "plan", number)
    return made


@pytest.fixture
def config_file(tmp_path: Path, warehouse: Warehouse) -> Path:
    path = tmp_path / "bfp.yaml"
    told = {"warehouse": warehouse.root, "report": str(tmp_path / "report")}
    path.write_text(yaml.safe_dump(told))
    return path


@pytest.fixture
def config(config_file: Path) -> Config:
    return load(config_file)


def test_typed_rows_are_counted_once_whatever_was_replayed(warehouse: Warehouse) -> None:
    rows = sorted(typed_counts(warehouse, "erasures", 3), key=lambda row: row["batch_id"])
    assert [(r["batch_id"], r["rows"], r["valid"]) for r in rows] == [
        (1, 2, 2),
        (2, 4, 1),
        (3, 1, 1),
    ]
    assert {row["batch_id"] for row in typed_counts(warehouse, "erasures", 2)} == {1, 2}
    assert typed_counts(warehouse, "sessions", 3) == []


def test_the_example_of_a_defect_is_its_first_place(warehouse: Warehouse) -> None:
    found = {row.pop("code"): row for row in defect_counts(warehouse, ERASURES, 2)}
    place = {"example_topic": "bfp.erasures", "example_partition": 0}
    assert found == {
        "missing": {"n": 3, "detail": "missing at 5", **place, "example_offset": 5},
        "stale": {"n": 1, "detail": "stale at 7", **place, "example_offset": 7},
    }
    assert defect_counts(warehouse, ERASURES, 1) == []


def test_the_document_is_that_of_the_rows_as_of_the_batch(
    warehouse: Warehouse, config: Config
) -> None:
    second = gathered(config, warehouse, 2).document
    assert [account["quarantined"] for account in second["accounts"]] == [0, 3]
    assert [(d["code"], d["n"]) for d in second["defects"]] == [("missing", 3), ("stale", 1)]
    (loop,) = second["loops"]
    assert loop["datasets"][-1]["dropped"] == {"duplicate": 56, "not_allowed": 1234}
    third = gathered(config, warehouse, 3).document
    assert third["accounts"][1] == second["accounts"][1]
    assert [(a["replayed"], a["recovered"]) for a in third["accounts"]] == [(0, 0), (0, 0), (1, 1)]
    assert any("1 record decoded again" in each["text"] for each in third["summary"])


def test_the_stage_writes_once_and_starts_no_spark(warehouse: Warehouse, config: Config) -> None:
    def no_spark() -> NoReturn:
        raise AssertionError

    batch = stored_batch(warehouse, 3)
    context = Context(config, warehouse, "run", no_spark, lambda _: None)
    assert not STAGE.done(warehouse, 3)
    STAGE.run(context, batch)
    events = [json.loads(line) for line in lineage(config, 3)]
    assert [event["eventType"] for event in events] == ["START", "COMPLETE"]
    assert events[0]["job"]["namespace"] == f"file://{warehouse.root}"
    (read,) = events[1]["inputs"]
    assert read["namespace"] == f"kafka://{config.kafka.bootstrap_servers}"
    page = config.report / "index.html"
    assert "Batch 3" in page.read_text()
    assert STAGE.done(warehouse, 3)
    page.unlink()
    STAGE.run(context, batch)
    assert not page.exists()


def lineage(config: Config, batch: int) -> list[str]:
    return (config.report / "lineage" / f"{batch:06d}.jsonl").read_text().splitlines()


def test_only_a_batch_that_published_is_told_of_as_complete(
    config_file: Path, config: Config, warehouse: Warehouse
) -> None:
    def told(batch: int) -> list[str]:
        asked = ["--config", str(config_file), "--batch", str(batch)]
        CliRunner().invoke(REPORT, asked, catch_exceptions=False)
        return [json.loads(line)["eventType"] for line in lineage(config, batch)]

    warehouse.append_once(RECEIPTS, [], "publish/receipts", 2)
    assert told(2) == ["START", "COMPLETE"]
    assert told(3) == ["START", "RUNNING"]


def test_the_command_rebuilds_the_last_and_a_past_batch(config_file: Path) -> None:
    done = CliRunner().invoke(REPORT, ["--config", str(config_file)], catch_exceptions=False)
    path = Path(done.output.strip())
    assert json.loads((path.parent / "report.json").read_text())["batch"] == 3
    asked = ["--config", str(config_file), "--batch", "2", "--json"]
    past = json.loads(CliRunner().invoke(REPORT, asked, catch_exceptions=False).output)
    assert past["batch"] == 2
    assert json.loads((path.parent / "report.json").read_text()) == past


def test_a_batch_that_is_not_there_is_refused(config_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no batch 4, the last is 3"):
        REPORT.main(["--config", str(config_file), "--batch", "4"], standalone_mode=False)
    empty = ["--config", str(config_file), "--set", f"warehouse={tmp_path / 'none'}"]
    with pytest.raises(ConfigError, match="no batch yet") as raised:
        REPORT.main(empty, standalone_mode=False)
    assert "`bfp run`" in raised.value.remedy
