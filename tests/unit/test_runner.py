"""What a run says of a stage that fails: what the stage said, or what Spark's error means."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest

from processor.batches import Batch
from processor.config import load
from processor.errors import ProcessorError, Unavailable
from processor.stages.base import Context, Stage
from processor.stages.runner import run_stages
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


def test_an_error_that_says_what_to_do_is_told_as_it_is(tmp_path: Path) -> None:
    what = "the report cannot be written to /r: No space left on device"
    raised = Unavailable(what, remedy="set `report` to another folder")
    assert ended(tmp_path, raised) == (raised, f"Unavailable: {what}")


def test_an_error_of_the_system_is_told_as_what_it_means(tmp_path: Path) -> None:
    found, kept = ended(tmp_path, OSError(28, "No space left on device"))
    assert isinstance(found, Unavailable)
    assert found.remedy == "make room, run again"
    assert kept.startswith("Unavailable: the disk is full or read-only: ")
