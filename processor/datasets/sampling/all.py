"""all: every row is kept."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

from processor.datasets.sampling.base import Policy
from processor.sections import Section


class Params(Section):
    """None."""


def cell(_params: Params) -> Column:
    """One for all rows."""
    return F.lit("")


def allot(cells: Mapping[str, float], _params: Params) -> dict[str, float]:
    """One."""
    return dict.fromkeys(cells, 1.0)


ENTRY = Policy("all", Params, cell, allot)
