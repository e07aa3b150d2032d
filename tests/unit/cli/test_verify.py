"""What `verify` says of tables that are gone or damaged: it ends with 4, before any JVM starts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable

from processor.stages.pipeline import PLAN, STAGES
from processor.table import Table
from processor.tables import BATCHES, LOG, OUTCOMES, PROOFS, TYPED
from processor.warehouse import Warehouse
from tests.unit.cli.conftest import Bfp

FILLED = (BATCHES, LOG, PROOFS, TYPED["inferences"])


@pytest.fixture
def warehouse(home: Path) -> Path:
    """Two batches that went through all stages, and a row of each in some tables."""
    made = Warehouse(str(home / "warehouse"))
    for batch in (1, 2):
        rows = {t.name: [dict.fromkeys(t.schema.names) | {"batch_id": batch}] for t in FILLED}
        made.append_once(BATCHES, rows[BATCHES.name], PLAN, batch)
        for stage in STAGES:
            for table in stage.writes:
                made.append_once(table, rows.get(table.name, []), stage.writer(table), batch)
    return home / "warehouse"


def halved(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def garbage(file: Path) -> None:
    file.write_bytes(b"x" * file.stat().st_size)


@pytest.mark.parametrize("table", FILLED, ids=lambda table: table.name)
@pytest.mark.parametrize("damage", [Path.unlink, halved, emptied])
def test_a_file_of_rows_that_is_not_what_was_written_is_named(
    bfp: Bfp, warehouse: Path, table: Table, damage: Callable[[Path], None]
) -> None:
    file = next((warehouse / table.name).rglob("*.parquet"))
    damage(file)
    ended = bfp("verify", "--json")
    assert (ended.code, ended.document["error"]) == (4, "LossDetected")
    assert f"the table {table.name}: " in ended.document["what"]
    assert file.name in ended.document["what"]
    assert ended.document["remedy"].startswith("restore it")
    assert not ended.document["retryable"]


@pytest.mark.parametrize(("table", "other"), [(BATCHES, "plan"), (PROOFS, "status")])
def test_a_file_of_rows_that_cannot_be_read_is_named(
    bfp: Bfp, warehouse: Path, table: Table, other: str
) -> None:
    file = next((warehouse / table.name).rglob("*.parquet"))
    garbage(file)
    ended = bfp("verify", "--json")
    assert (ended.code, ended.document["error"]) == (4, "LossDetected")
    assert f"a file of the table {table.name} cannot be read" in ended.document["what"]
    assert file.name in ended.document["what"]
    assert bfp(other).code == 75


@pytest.mark.parametrize("table", [BATCHES, LOG, OUTCOMES], ids=lambda table: table.name)
@pytest.mark.parametrize(
    ("number", "damage"),
    [
        *((0, damage) for damage in (Path.unlink, halved, emptied, garbage)),
        *((1, damage) for damage in (Path.unlink, halved, emptied, garbage)),
        *((-1, damage) for damage in (halved, emptied, garbage)),
    ],
)
def test_a_commit_that_is_gone_or_half_written_is_found(
    bfp: Bfp, warehouse: Path, table: Table, number: int, damage: Callable[[Path], None]
) -> None:
    damage(sorted((warehouse / table.name / "_delta_log").glob("*.json"))[number])
    ended = bfp("verify", "--json")
    assert (ended.code, ended.document["error"]) == (4, "LossDetected")
    assert f"the table {table.name}" in ended.document["what"]
    assert ended.document["remedy"].startswith("restore it")


@pytest.mark.parametrize("damage", [Path.unlink, halved, emptied, garbage])
def test_a_checkpoint_that_is_gone_or_damaged_is_found(
    bfp: Bfp, warehouse: Path, damage: Callable[[Path], None]
) -> None:
    DeltaTable(str(warehouse / "proofs")).create_checkpoint()
    damage(next((warehouse / "proofs" / "_delta_log").glob("*.parquet")))
    ended = bfp("verify", "--json")
    assert (ended.code, ended.document["error"]) == (4, "LossDetected")
    assert "the table proofs cannot be read" in ended.document["what"]


@pytest.mark.parametrize("lost", [("",), ("_delta_log",), ("", *(t.name for t in FILLED[1:]))])
def test_plans_that_are_gone_are_not_taken_for_no_batch(
    bfp: Bfp, warehouse: Path, lost: tuple[str, ...]
) -> None:
    inside, *others = lost
    shutil.rmtree(warehouse / "batches" / inside)
    for name in others:
        shutil.rmtree(warehouse / name)
    ended = bfp("verify", "--json")
    assert (ended.code, ended.document["error"]) == (4, "LossDetected")
    assert "batch 2 is in the table" in ended.document["what"]
    assert "and was never planned" in ended.document["what"]


def test_an_emptied_log_of_plans_is_not_taken_for_no_batch(bfp: Bfp, warehouse: Path) -> None:
    for commit in (warehouse / "batches" / "_delta_log").iterdir():
        commit.unlink()
    assert bfp("verify").code == 4


def test_a_place_that_does_not_answer_may_be_tried_again(
    bfp: Bfp, warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> None:
        raise OSError("When reading information for key 'log': AWS Error NETWORK_CONNECTION")

    monkeypatch.setattr("processor.warehouse.DeltaTable", silent)
    ended = bfp("verify", "--json")
    assert (ended.code, ended.document["retryable"]) == (75, True)
    assert str(warehouse) in ended.document["what"]
