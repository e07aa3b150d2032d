"""uncertainty: the less sure a model was, or several were together, the likelier a row is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from pydantic import Field
from pyspark.sql import Column
from pyspark.sql import functions as F

from processor.datasets import disagreement
from processor.datasets.disagreement import COMMITTEE, entropy
from processor.datasets.sampling.base import Policy, read
from processor.datasets.scores import in_proportion, step
from processor.sections import Section

FLOORS = (0.05, 0.2)  # that are proposed


class Params(Section):
    """`rows` are expected to be kept; no score counts as less than `floor`."""

    measure: Literal["least_confidence", "margin", "entropy", "logged", "vote_entropy", "bald"] = (
        "entropy"
    )
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
    return F.when(F.size("class_probs") > 0, entropy(_probabilities()))


OF_COMMITTEES: Mapping[str, Callable[[Column], Column]] = {
    "vote_entropy": disagreement.vote_entropy,
    "bald": disagreement.bald,
}
"""What all model versions that answered the same request say together."""

MEASURES: Mapping[str, Callable[[], Column]] = {
    "least_confidence": _least_confidence,
    "margin": _margin,
    "entropy": _entropy,
    "logged": lambda: F.col("uncertainty"),
    **{
        name: partial(lambda of: of(F.col(COMMITTEE)), measure)
        for name, measure in OF_COMMITTEES.items()
    },
}
"""With p1 and p2 the largest class probabilities: 1 - p1, 1 - (p1 - p2), -Σ p ln p (nats), or
what the model itself logged as its uncertainty; then those of committees.

Source: B. Settles, Active Learning Literature Survey (2009), 3.1; the margin is turned, so that
in each of them more is less sure.
"""


def reads(params: Params) -> dict[str, Column]:
    """The score; null where the inference has nothing that it is made of."""
    return {params.measure: MEASURES[params.measure]()}


def of_committee(params: Params) -> bool:
    """Whether it looks at what others said of the same request."""
    return params.measure in OF_COMMITTEES


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


ENTRY = Policy(
    "uncertainty",
    Params,
    cell,
    allot,
    reads,
    score,
    of_committee=of_committee,
    proposals=proposals,
)
