"""importance: by the logged propensity of what was shown, to a power."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field
from pyspark.sql import Column
from pyspark.sql import functions as F

from processor.datasets.sampling.base import Policy, read
from processor.datasets.scores import in_proportion, step
from processor.sections import Section


class Params(Section):
    """The score is max(propensity ^ `power`, `floor`); `rows` are expected to be kept.

    With -1 rows are chosen by the weight that they have in an estimate for a uniform policy, and
    what was rarely shown is kept; with 1, what was often shown.
    """

    power: float = Field(default=-1.0, ge=-4, le=4)
    rows: int = Field(gt=0)
    floor: float = Field(default=0.01, gt=0, le=1)


def reads(_params: Params) -> dict[str, Column]:
    """The propensity; what was logged without one was shown for certain."""
    return {"propensity": F.coalesce("propensity", F.lit(1.0))}


def cell(params: Params) -> Column:
    """The step of the score."""
    return step(F.pow(read("propensity"), F.lit(params.power)), params.floor)


def allot(cells: Mapping[str, float], params: Params) -> dict[str, float]:
    """In proportion to the score."""
    return in_proportion(cells, params.rows)


def proposals(rows: int) -> list[dict[str, Any]]:
    """What was rarely shown, or what often was."""
    return [{"power": power, "rows": rows} for power in (-1.0, 1.0)]


ENTRY = Policy("importance", Params, cell, allot, reads, proposals=proposals)
