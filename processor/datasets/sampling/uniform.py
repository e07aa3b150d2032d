"""uniform: each row is kept with the same stated probability."""

from __future__ import annotations

from pydantic import Field
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from processor.config import Section
from processor.datasets.sampling.base import Policy


class Params(Section):
    """`rate` is the probability of each row."""

    rate: float = Field(gt=0, le=1)


def inclusion(_rows: DataFrame, params: Params) -> Column:
    """The rate."""
    return F.lit(params.rate)


ENTRY = Policy("uniform", Params, inclusion)
