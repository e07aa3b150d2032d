"""Two processes that commit the same batch at the same moment: one commit, whatever the lock."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

from deltalake import DeltaTable

from processor.errors import BatchHeld
from processor.tables import RECEIPTS
from processor.warehouse import Warehouse

ROUNDS = 30
WRITERS = 2
LIMIT = 60.0  # seconds


def write(root: str, barrier: Barrier, name: str) -> None:
    """Appends one row a round; a writer that comes second is refused or has nothing to do."""
    warehouse = Warehouse(root)
    row = dict.fromkeys(RECEIPTS.schema.names) | {"event_id": name}
    for batch in range(1, ROUNDS + 1):
        barrier.wait(LIMIT)
        try:
            warehouse.append_once(RECEIPTS, [row | {"batch_id": batch}], "publish/receipts", batch)
        except BatchHeld:
            continue


def test_one_of_two_writers_commits(tmp_path: Path) -> None:
    Warehouse(str(tmp_path)).ensure(RECEIPTS)
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(WRITERS)
    writers = [
        spawn.Process(target=write, args=(str(tmp_path), barrier, str(n))) for n in range(WRITERS)
    ]
    for each in writers:
        each.start()
    for each in writers:
        each.join(LIMIT)
        assert each.exitcode == 0
    kept = DeltaTable(str(tmp_path / "receipts")).to_pyarrow_table()["batch_id"].to_pylist()
    assert sorted(kept) == list(range(1, ROUNDS + 1))
