"""uniform: every row is kept with the same probability."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator
from pyspark.sql import Column
from pyspark.sql import functions as F

from processor.datasets.sampling.base import Policy
from processor.sections import Section


class Params(Section):
    """`rate` is the probability of each row, or `rows` how many are expected to be kept."""

    rate: float = Field(default=1.0, gt=0, le=1)
    rows: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _one(self) -> Params:
        if len(self.model_fields_set) != 1:
            raise ValueError("uniform sampling needs one of rate and rows")
        return self


def cell(_params: Params) -> Column:
    """One for all rows."""
    return F.lit("")


def allot(cells: Mapping[str, float], params: Params) -> dict[str, float]:
    """The rate, or min(1, rows / rows there are)."""
    if params.rows is None:
        return dict.fromkeys(cells, params.rate)
    return dict.fromkeys(cells, min(1.0, params.rows / sum(cells.values())))


def proposals(rows: int) -> list[dict[str, Any]]:
    """The budget."""
    return [{"rows": rows}]


ENTRY = Policy("uniform", Params, cell, allot, proposals=proposals)
