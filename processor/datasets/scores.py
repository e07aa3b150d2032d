"""Rows chosen in proportion to a score: counted in steps, so that few numbers tell all."""

from __future__ import annotations

from collections.abc import Mapping
from math import log2

from pyspark.sql import Column
from pyspark.sql import functions as F

from processor.datasets.allotment import chances, fill

STEPS = 32  # to each doubling: a score stands for those within 1.1 % of it
LARGEST = 64.0  # doublings above 1 at which a score is cut off


def step(score: Column, floor: float) -> Column:
    """The step of a score that is at least `floor` (above 0); one that is unknown is at the floor.

    Probabilities are in proportion to the step, not to the score itself: budgets are then met
    from a count of steps, and no sum of fractions depends on the order of rows.
    """
    doublings = F.greatest(F.log2(score), F.lit(log2(floor)))
    return F.round(F.least(doublings, F.lit(LARGEST)) * STEPS).cast("int").cast("string")


def score_of(name: str) -> float:
    """The score that a step stands for."""
    return float(2.0 ** (int(name) / STEPS))


def in_proportion(steps: Mapping[str, float], rows: int | None) -> dict[str, float]:
    """The probability of the rows of each step: min(1, factor · score).

    The one factor makes the probabilities sum to `rows`, or to all rows where there are fewer;
    it is 1 where no budget is given.
    """
    if rows is None:
        return {name: min(1.0, score_of(name)) for name in steps}
    sizes = list(steps.values())
    shares = [size * score_of(name) for name, size in steps.items()]
    return chances(steps, fill(shares, [0.0] * len(sizes), sizes, rows))
