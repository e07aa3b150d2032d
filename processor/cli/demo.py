"""bfp demo: run the whole loop on this machine, on real parts and real data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid

from processor.cli.common import as_json, emit, say
from processor.demo import HOME, Options
from processor.demo import demo as run_demo
from processor.simulate.census import DEFAULT_SEED
from processor.stages.story import story
from processor.triggers.machine import QUIET
from processor.warehouse import Warehouse


@click.command()
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=HOME,
    show_default=True,
    help="Folder to work in; what an earlier demo left there is removed.",
)
@click.option("--persons", type=click.IntRange(min=1), help="Persons a year, instead of all.")
@click.option("--seed", type=int, default=DEFAULT_SEED, show_default=True)
@as_json
def demo(home: Path, persons: int | None, seed: int, as_json: bool) -> None:  # noqa: FBT001  # click's flag
    """Run the whole loop on this machine: broker, registry, three batches, one training."""
    config = run_demo(Options(home, persons, seed), say)
    told = story(config, Warehouse(config.warehouse))
    emit({"home": str(home), **told}, as_json, lambda: _show(home, told))


def _show(home: Path, told: dict[str, Any]) -> None:
    console = Console(markup=False)
    grid = Grid(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for name in ("batch", "records", "defects", "known", "too early", "late", "accuracy"):
        grid.add_column(name, justify="right")
    grid.add_column("decision", no_wrap=True)
    for one in told["batches"]:
        accuracy = "" if one["accuracy"] is None else f"{one['accuracy']:.4f}"
        loud = [f"{d['rule']}: {d['state']}" for d in one["decisions"] if d["state"] != QUIET]
        numbers = (one[name] for name in ("landed", "defects", "known", "censored", "late"))
        cells = (*(f"{number:,}" for number in numbers), accuracy, "\n".join(loud) or QUIET)
        grid.add_row(str(one["batch"]), *cells)
    console.print(grid)
    for trigger in told["triggers"]:
        click.echo(f"one trigger:  {trigger['trigger_id']} ({trigger['reason']})")
    for training in told["trainings"]:
        click.echo(f"one training: {training['model_version']} on {training['dataset']}")
    for verdict in told["verdicts"]:
        click.echo(f"one verdict:  {verdict['model_version']}: {verdict['verdict']}")
        click.echo(f"              {verdict['reason']}")
    click.echo("look at:")
    for name in ("report/index.html", "warehouse", "events.parquet", "bfp.yaml"):
        click.echo(f"  {home / name}")


COMMAND = demo
