"""Two that commit the same batch at the same moment: one commit, whatever the lock."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from itertools import count
from multiprocessing.synchronize import Barrier
from pathlib import Path
from random import Random

import pytest
from deltalake import DeltaTable

from processor.errors import BatchHeld
from processor.tables import RECEIPTS
from processor.warehouse import CHECKPOINT_EVERY, Warehouse

ROUNDS = 30
WRITERS = 2
KILLS, SEED = 12, 20_261_129
LIMIT = 60.0  # seconds
WRITER = "publish/receipts"


def row(batch: int, name: str) -> dict[str, object]:
    """A row that says who wrote it."""
    return dict.fromkeys(RECEIPTS.schema.names) | {"event_id": name, "batch_id": batch}


def write(root: str, barrier: Barrier, name: str, each: int) -> None:
    """Appends `each` rows a round; a writer that comes second is refused or has nothing to do."""
    warehouse = Warehouse(root)
    for batch in range(1, ROUNDS + 1):
        barrier.wait(LIMIT)
        try:
            warehouse.append_once(RECEIPTS, [row(batch, name)] * each, WRITER, batch)
        except BatchHeld:
            continue


@pytest.mark.parametrize("each", [1, 0])
def test_one_of_two_writers_commits(tmp_path: Path, each: int) -> None:
    Warehouse(str(tmp_path)).ensure(RECEIPTS)
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(WRITERS)
    writers = [
        spawn.Process(target=write, args=(str(tmp_path), barrier, str(n), each))
        for n in range(WRITERS)
    ]
    for one in writers:
        one.start()
    for one in writers:
        one.join(LIMIT)
        assert one.exitcode == 0
    table = DeltaTable(str(tmp_path / "receipts"))
    assert table.version() == ROUNDS  # the first commit, 0, made the table
    kept = table.to_pyarrow_table()["batch_id"].to_pylist()
    assert sorted(kept) == list(range(1, ROUNDS + 1)) * each


def test_what_is_read_meanwhile_does_not_hide_the_others_commit(tmp_path: Path) -> None:
    mine, other = Warehouse(str(tmp_path)), Warehouse(str(tmp_path))
    mine.ensure(RECEIPTS)

    def rows() -> Iterator[dict[str, object]]:
        other.append_once(RECEIPTS, [row(1, "other")], WRITER, 1)
        assert mine.committed(RECEIPTS, WRITER) == 1
        yield row(1, "mine")

    with pytest.raises(BatchHeld):
        mine.append_once(RECEIPTS, rows(), WRITER, 1)
    assert mine.rows(RECEIPTS)["event_id"].to_pylist() == ["other"]


def write_on(root: str) -> None:
    """Appends batch after batch, from where the table is, until it is killed."""
    warehouse = Warehouse(root)
    for batch in count(warehouse.committed(RECEIPTS, WRITER) + 1):
        warehouse.append_once(RECEIPTS, [row(batch, "mine")], WRITER, batch)


def test_killed_while_it_commits_or_makes_a_checkpoint_a_table_stays_whole(tmp_path: Path) -> None:
    Warehouse(str(tmp_path)).ensure(RECEIPTS)
    spawn, rng, before = multiprocessing.get_context("spawn"), Random(SEED), 0
    for _ in range(KILLS):
        writer = spawn.Process(target=write_on, args=(str(tmp_path),))
        writer.start()
        while (now := Warehouse(str(tmp_path)).committed(RECEIPTS, WRITER)) == before:
            assert writer.is_alive()
        time.sleep(rng.uniform(0, 0.2))  # any moment of the next commits
        writer.kill()
        writer.join(LIMIT)
        before = now
    last = Warehouse(str(tmp_path)).committed(RECEIPTS, WRITER)
    assert last > KILLS + CHECKPOINT_EVERY
    kept = Warehouse(str(tmp_path)).rows(RECEIPTS)["batch_id"].to_pylist()
    assert sorted(kept) == list(range(1, last + 1))


def test_a_table_of_many_commits_is_opened_by_its_last_few(tmp_path: Path) -> None:
    last = 2 * CHECKPOINT_EVERY + 1
    warehouse = Warehouse(str(tmp_path))
    for batch in range(1, last + 1):
        warehouse.append_once(RECEIPTS, [row(batch, "mine")], WRITER, batch)
    commits = sorted((tmp_path / "receipts" / "_delta_log").glob("*.json"))
    for commit in commits[: 2 * CHECKPOINT_EVERY]:
        commit.unlink()
    afresh = Warehouse(str(tmp_path))
    assert afresh.committed(RECEIPTS, WRITER) == last
    assert sorted(afresh.rows(RECEIPTS)["batch_id"].to_pylist()) == list(range(1, last + 1))
