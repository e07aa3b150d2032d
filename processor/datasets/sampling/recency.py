"""recency: the older a response is, the less likely it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from pydantic import Field
from pyspark.sql import Column
from pyspark.sql import functions as F

from processor.datasets.sampling.base import Policy, read
from processor.datasets.scores import in_proportion, step
from processor.sections import Duration, Section

_MICROSECOND = timedelta(microseconds=1)


class Params(Section):
    """The score halves with each `half_life`, down to `floor`; with `rows` it is scaled to them."""

    half_life: Duration = Field(gt=timedelta(0))
    floor: float = Field(default=0.01, gt=0, le=1)
    rows: int | None = Field(default=None, gt=0)


def reads(_params: Params) -> dict[str, Column]:
    """When the model answered."""
    return {"response_time": F.col("response_time")}


def cell(params: Params) -> Column:
    """The step of 2 ^ -(age / half-life), with age = watermark - response time, at least 0.

    The watermark is the batch's: one row with a clock that is ahead does not make others old.
    """
    now = F.coalesce(F.col("watermark"), read("response_time"))
    age = F.unix_micros(now) - F.unix_micros(read("response_time"))
    halvings = F.greatest(age, F.lit(0)) / F.lit(params.half_life / _MICROSECOND)
    return step(F.pow(F.lit(2.0), -halvings), params.floor)


def allot(cells: Mapping[str, float], params: Params) -> dict[str, float]:
    """The score, or in proportion to it."""
    return in_proportion(cells, params.rows)


ENTRY = Policy("recency", Params, cell, allot, reads)
