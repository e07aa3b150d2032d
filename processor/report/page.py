"""The document as one page that asks nothing of any other place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from processor.measurements import INSUFFICIENT, OVERALL
from processor.report import figures, words
from processor.report.loop import AMISS, STANDINGS
from processor.report.summary import FIRED

_FILTERS = (
    *(words.number, words.decimal, words.share, words.chance, words.when, words.seconds),
    *(words.size, words.alarming, figures.named),
)


def page(document: Mapping[str, Any]) -> str:
    """HTML with its style and charts inside; equal documents give equal pages."""
    batch = document["batch"]
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            doc=document,
            account=document["accounts"][-1],
            charts={loop["loop"]: _charts(loop, batch) for loop in document["loops"]},
            fired=[
                (loop["loop"], decision)
                for loop in document["loops"]
                for decision in loop["decisions"]
                if decision["batch"] == batch and decision["state"] == FIRED
            ],
            standings=STANDINGS,
            amiss=AMISS,
            whole=OVERALL,
            insufficient=INSUFFICIENT,
        )
    )


def _charts(loop: Mapping[str, Any], batch: int) -> dict[str, list[figures.Figure]]:
    standings = figures.standings(loop)
    return {
        "standings": [standings] if standings else [],
        "trends": figures.trends(loop),
        "slices": figures.by_slice(loop, batch),
        "drift": figures.drift(loop),
        "candidates": figures.candidates(loop, batch),
    }


def _environment() -> Environment:
    """Templates of this folder; every value is escaped, and a missing one is an error."""
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters.update({each.__name__: each for each in _FILTERS})
    found.globals["interval"] = words.interval
    return found
