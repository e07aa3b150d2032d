"""The ways that are compared, each from a session that has just started."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.dataset as pads

from benchmarks.ledger import by_duckdb, naive
from benchmarks.ledger.planted import plant
from benchmarks.ledger.settings import Job
from benchmarks.ledger.world import World
from benchmarks.meter import Cost, metered, whole_peak_rss
from benchmarks.usual import usual_session
from processor.local.spark import on_demand
from processor.session import end
from processor.stages.base import Context
from processor.stages.pipeline import stage, stored_batch
from processor.stages.runner import run_stages
from processor.tables import DATASETS
from processor.warehouse import Warehouse

TOGETHER = "together"


@dataclass(frozen=True)
class Measured:
    """What a way cost, step by step; the rows it kept; the most memory, in bytes, it had."""

    start: Cost
    steps: Mapping[str, Cost]
    rows: int
    peak_rss: int | None


def planted(job: Job) -> Measured:
    """Not a way: what the others are measured on."""
    with metered() as whole:
        plant(World.told(job.world))
    return Measured(Cost(), {TOGETHER: whole}, 0, None)


def compiled(job: Job) -> Measured:
    """This software's `compile`, a batch after the other in one session."""
    config = job.config()
    _linked(Path(job.source), Path(config.warehouse), job.without)
    warehouse, (first, last) = Warehouse(config.warehouse), job.batches
    steps: dict[str, Cost] = {}
    with on_demand(config.spark, _quiet) as start:
        with metered() as started:
            start()
        for number in range(first, last + 1):
            context = Context(config, warehouse, "bench", start, _quiet)
            with metered() as steps[str(number)]:
                run_stages(context, stored_batch(warehouse, number), [stage("compile")])
        peak = whole_peak_rss()
    rows = warehouse.rows(DATASETS, columns=["row_count"])["row_count"].to_pylist()
    return Measured(started, steps, sum(rows), peak)


def usual(job: Job) -> Measured:
    """The same join in PySpark, as one writes it first, with the defaults of Spark."""
    home = Path(job.folder).resolve()
    with metered() as started:
        spark = usual_session(home / "spark")
    try:
        with metered() as whole:
            naive.run(spark, job.source, str(home / "dataset"), job.rows)
        peak = whole_peak_rss()
    finally:
        end(spark)
    return Measured(started, {TOGETHER: whole}, _rows(home / "dataset"), peak)


def duckdb(job: Job) -> Measured:
    """The same join in DuckDB."""
    home = Path(job.folder).resolve()
    home.mkdir(parents=True)
    with metered() as whole:
        by_duckdb.run(job.source, home / "scratch.duckdb", home / "dataset", job.rows)
    return Measured(Cost(), {TOGETHER: whole}, _rows(home / "dataset"), whole_peak_rss())


WAYS: Mapping[str, Callable[[Job], Measured]] = {
    "plant": planted,
    "compile": compiled,
    "naive": usual,
    "duckdb": duckdb,
}


def _linked(source: Path, target: Path, without: tuple[str, ...]) -> None:
    """The warehouse once more: its files are never changed, so links to them will do."""
    shutil.copytree(
        source, target, copy_function=os.link, ignore=lambda _folder, _names: set(without)
    )


def _rows(dataset: Path) -> int:
    return int(pads.dataset(dataset, format="parquet", partitioning="hive").count_rows())


def _quiet(_text: str) -> None:
    """Progress is told by the program that starts the ways."""
