"""all: every row is kept."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from processor.config import Section
from processor.datasets.sampling.base import Policy


class Params(Section):
    """None."""


def inclusion(_rows: DataFrame, _params: Params) -> Column:
    """One."""
    return F.lit(1.0)


ENTRY = Policy("all", Params, inclusion)
