"""What a sampling policy is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from processor.sections import Section

READ = "read"
"""The column, a struct, that holds what policies read of an inference."""


def never(_params: object) -> bool:
    """What a policy says that decides without the answer, or without what others said."""
    return False


def unscored(_params: object) -> Column:
    """What a policy says of a row that it has no score for."""
    return F.lit(None).cast("double")


def nobody(_rows: int) -> list[dict[str, Any]]:
    """What a policy proposes that is not a choice of its own."""
    return []


def unlearned(params: Any, _spreads: Mapping[str, float]) -> Any:  # noqa: ANN401  # any parameters
    """The parameters of a policy that learns nothing from answers."""
    return params


def nothing(_params: object) -> dict[str, Column]:
    """What a policy reads that decides without looking at the inference."""
    return {}


@dataclass(frozen=True)
class Policy:
    """A way to choose rows: each row falls into a cell, and the rows of a cell are equally likely.

    `reads(params)` are columns of its own, each from one inference of the contract, and where
    `of_committee(params)`, from `disagreement.COMMITTEE`; a name means the same in every policy.
    `cell(params)` is a text, never null, with few values: from what was read (see `read`), label,
    reward and watermark of the row alone. `allot(cells, params)` takes how many rows each cell has,
    all above 0 and not always whole, and gives the probability in (0, 1] of each. `score(params)`
    is what it goes by, of those that go by a number, and `of_answers(params)` whether it looks at
    label or reward. So nothing depends on the order of rows or on their partitioning.
    `proposals(rows)` are parameters worth trying for a budget, and `learned(params, spreads)` those
    with what past answers say of each cell: the root of the mean square distance from the mean of
    all.
    """

    name: str
    params: type[Section]
    cell: Callable[[Any], Column]
    allot: Callable[[Mapping[str, float], Any], dict[str, float]]
    reads: Callable[[Any], dict[str, Column]] = nothing
    score: Callable[[Any], Column] = unscored
    of_answers: Callable[[Any], bool] = never
    of_committee: Callable[[Any], bool] = never
    proposals: Callable[[int], list[dict[str, Any]]] = nobody
    learned: Callable[[Any, Mapping[str, float]], Any] = unlearned


def read(name: str) -> Column:
    """What a policy said under this name that it reads."""
    return F.col(READ)[name]
