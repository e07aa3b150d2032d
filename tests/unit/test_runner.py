"""What a run says of a stage that fails: what the stage said, or what Spark's error means."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest

from processor.batches import Batch, Partition
from processor.config import load
from processor.errors import ProcessorError, Unavailable
from processor.stages.base import Context, Stage
from processor.stages.cut import Nothing
from processor.stages.runner import run_stages, take
from processor.tables import RUNS
from processor.warehouse import Warehouse


def failing(raised: Exception) -> Stage:
    def run(_context: Context, _batch: Batch) -> NoReturn:
        raise raised

    return Stage("report", "writes the report", (), (), run)


def no_jvm() -> NoReturn:
    pytest.fail("a JVM was started")


def ended(tmp_path: Path, raised: Exception) -> tuple[ProcessorError, str]:
    """What is raised of it, and what `runs` keeps."""
    warehouse = Warehouse(str(tmp_path))
    context = Context(load(None, (), {}), warehouse, "run", no_jvm, lambda _: None)
    batch = Batch(1, (), datetime(2024, 3, 1, tzinfo=UTC), "run", "hash", "1")
    with pytest.raises(ProcessorError) as found:
        run_stages(context, batch, [failing(raised)])
    (error,) = warehouse.rows(RUNS)["error"].to_pylist()
    return found.value, error


def test_a_run_of_nothing_says_what_open_transactions_hold_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = Nothing({Partition("orders", 0): 3})
    monkeypatch.setattr("processor.stages.runner.preflight", lambda _config: None)
    monkeypatch.setattr("processor.stages.runner.next_batch", lambda *_: nothing)
    said: list[str] = []
    assert take(load(None, [f"warehouse={tmp_path}"], {}), no_jvm, said.append) is None
    assert said == ["open transactions hold offsets back, which a later batch takes: orders/0 3"]


def test_an_error_that_says_what_to_do_is_told_as_it_is(tmp_path: Path) -> None:
    what = "the report cannot be written to /r: No space left on device"
    raised = Unavailable(what, remedy="set `report` to another folder")
    assert ended(tmp_path, raised) == (raised, f"Unavailable: {what}")


def test_an_error_of_the_system_is_told_as_what_it_means(tmp_path: Path) -> None:
    found, kept = ended(tmp_path, OSError(28, "No space left on device"))
    assert isinstance(found, Unavailable)
    assert found.remedy == "make room, run again"
    assert kept.startswith("Unavailable: the disk is full or read-only: ")
