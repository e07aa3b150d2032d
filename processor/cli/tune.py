"""bfp tune: say what a budget of labels is best spent on, by what past batches know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import yaml
from rich.console import Console
from rich.table import Table as Grid

from processor.cli.common import config_of, configured, emit, say
from processor.local.spark import on_demand
from processor.stages.tune import tune as tune_loop


@click.command()
@configured
@click.argument("loop")
@click.option(
    "--budget",
    type=click.IntRange(min=1),
    required=True,
    help="Labels that can be asked for in a batch.",
)
def tune(
    config_file: Path | None,
    flags: tuple[str, ...],
    as_json: bool,  # noqa: FBT001  # click's flag
    loop: str,
    budget: int,
) -> None:
    """Say how wide the interval of a batch's accuracy would be under each policy of asking.

    As of the last finished batch; nothing is written. INSUFFICIENT where too little is known.
    """
    config = config_of(config_file, flags)
    config.only(loop)
    with on_demand(config.spark, say) as start_spark:
        document = tune_loop(config, start_spark, say, loop, budget)
    emit(document, as_json, lambda: _show(document))


def _show(told: dict[str, Any]) -> None:
    console = Console(markup=False)
    console.print(f"{told['loop']}, as of batch {told['as_of']}: {told['outcomes']:,} outcomes")
    if told["verdict"]:
        console.print(f"{told['verdict']}: {told['reason']}")
    else:
        _show_policies(console, told)
    if told["past"]:
        _show_past(console, told["past"])


def _show_policies(console: Console, told: dict[str, Any]) -> None:
    console.print(
        f"{told['estimates']} {told['mean']:.4f}; {told['budget']:,} labels of"
        f" {told['inferences']:,.0f} inferences a batch would tell it to within:"
    )
    grid = Grid("", "as good as", "policy")
    for each in told["policies"]:
        worth = f"{each['worth']:,.0f} uniform" if each["worth"] is not None else ""
        grid.add_row(f"± {each['half_width']:.4f}", worth, _line(each["policy"]))
    console.print(grid)
    if told["budget"] >= told["inferences"]:
        console.print("a batch has no more inferences than that: all can be asked about")
    best = _line(told["recommended"]["policy"])
    if told["can_ask"]:
        console.print("recommended for the loop file:")
        click.echo(f"label_requests: {best}")
    else:
        console.print(f"the best of them: {best}")
        console.print("this loop's answers name no request, so that it cannot ask for them itself")


def _line(policy: dict[str, Any]) -> str:
    """A policy as a loop file would say it."""
    text: str = yaml.safe_dump(policy, default_flow_style=True, sort_keys=False, width=10**6)
    return text.strip()


def _show_past(console: Console, past: list[dict[str, Any]]) -> None:
    grid = Grid("batch", "policy", "asked", "answered", "mean", "expected", "was")
    for row in past:
        widths = (row["expected_half_width"], row["realised_half_width"])
        told = [f"± {each:.4f}" if each is not None else "" for each in widths]
        mean = f"{row['mean']:.4f}" if row["mean"] is not None else ""
        counts = (f"{row['asked']:,}", f"{row['answered']:,}")
        grid.add_row(str(row["batch"]), row["policy"], *counts, mean, *told)
    console.print(grid)


COMMAND = tune
