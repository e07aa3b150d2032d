"""uncertainty: the less sure the model was, the likelier a row is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import Field
from pyspark.sql import Column
from pyspark.sql import functions as F

from processor.datasets.sampling.base import Policy, read
from processor.datasets.scores import in_proportion, step
from processor.sections import Section

FLOORS = (0.05, 0.2)  # that are proposed


class Params(Section):
    """`rows` are expected to be kept; no score counts as less than `floor`."""

    measure: Literal["least_confidence", "margin", "entropy", "logged"] = "entropy"
    rows: int = Field(gt=0)
    floor: float = Field(default=0.01, gt=0, le=1)


def _probabilities() -> Column:
    return F.sort_array(F.map_values("class_probs"), asc=False)


def _likeliest(place: int) -> Column:
    return F.get(_probabilities(), F.lit(place))


def _least_confidence() -> Column:
    return 1 - _likeliest(0)


def _margin() -> Column:
    return 1 - (_likeliest(0) - F.coalesce(_likeliest(1), F.lit(0.0)))


def _entropy() -> Column:
    # The logarithm of 0 is null, and 0 is what p ln p comes to there.
    terms = F.transform(_probabilities(), lambda p: F.coalesce(p * F.log(p), F.lit(0.0)))
    total = F.aggregate(terms, F.lit(0.0), lambda so_far, term: so_far - term)
    return F.when(F.size("class_probs") > 0, total)


MEASURES: Mapping[str, Callable[[], Column]] = {
    "least_confidence": _least_confidence,
    "margin": _margin,
    "entropy": _entropy,
    "logged": lambda: F.col("uncertainty"),
}
"""With p1 and p2 the largest class probabilities: 1 - p1, 1 - (p1 - p2), -Σ p ln p (nats), or
what the model itself logged as its uncertainty.

Source: B. Settles, Active Learning Literature Survey (2009), 3.1; the margin is turned, so that
in each of them more is less sure.
"""


def reads(params: Params) -> dict[str, Column]:
    """The score; null where the inference has no class probabilities."""
    return {params.measure: MEASURES[params.measure]()}


def cell(params: Params) -> Column:
    """The step of the score."""
    return step(read(params.measure), params.floor)


def allot(cells: Mapping[str, float], params: Params) -> dict[str, float]:
    """In proportion to the score."""
    return in_proportion(cells, params.rows)


def score(params: Params) -> Column:
    """How unsure the model was."""
    return read(params.measure).cast("double")


def proposals(rows: int) -> list[dict[str, Any]]:
    """Every measure, and how seldom the surest are asked: hardly ever, or now and then."""
    return [
        {"measure": measure, "floor": floor, "rows": rows}
        for measure in MEASURES
        for floor in FLOORS
    ]


ENTRY = Policy("uncertainty", Params, cell, allot, reads, score, proposals=proposals)
