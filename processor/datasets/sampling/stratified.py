"""stratified: rows in groups, and a stated part of the budget for each group."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from math import sqrt
from typing import Any, Literal

from pydantic import Field, field_validator
from pyspark.sql import Column
from pyspark.sql import functions as F

from processor.datasets.allotment import fill, neyman
from processor.datasets.sampling.base import Policy, read
from processor.plugins import nearest
from processor.sections import Section

LABEL, FEATURE = "label", "str."
COLUMNS = (
    *("tenant", "model_version", "deployment_id", "experiment_id", "variant", "role"),
    "pred_label",
)
"""Columns of an inference that have few values; any text feature is named `str.<feature>`."""

Group = dict[str, float]
"""How many rows of a stratum have each value of what is to be estimated; `` is none."""


class Params(Section):
    """`rows` are expected to be kept, `minimum` of each stratum that has as many.

    `of` is what neyman makes most exact: the mean reward, or the share of right predictions.
    """

    by: tuple[str, ...] = Field(min_length=1)
    rows: int = Field(gt=0)
    allocation: Literal["proportional", "equal", "neyman"] = "proportional"
    minimum: int = Field(default=1, gt=0)
    of: Literal["reward", "correct"] = "reward"

    @field_validator("by")
    @classmethod
    def _known(cls, by: tuple[str, ...]) -> tuple[str, ...]:
        for name in by:
            if name not in (LABEL, *COLUMNS) and not name.startswith(FEATURE):
                raise ValueError(f"no column {name!r}: {nearest(name, (LABEL, *COLUMNS))}")
        return by


def reads(params: Params) -> dict[str, Column]:
    """The columns that the strata are made of, and the prediction where it is compared."""
    named = {name for name in params.by if name != LABEL}
    if params.allocation == "neyman" and params.of == "correct":
        named.add("pred_label")
    return {name: _column(name) for name in sorted(named)}


def _column(name: str) -> Column:
    if name.startswith(FEATURE):
        return F.col("features_str")[name.removeprefix(FEATURE)]
    return F.col(name)


def cell(params: Params) -> Column:
    """The stratum, and for neyman the value to be estimated, to three digits, as JSON."""
    by = [(F.col(LABEL) if name == LABEL else read(name)).alias(name) for name in params.by]
    named = [F.struct(*by).alias("by")]
    if params.allocation == "neyman":
        named.append(_value(params).alias("of"))
    return F.to_json(F.struct(*named))


def _value(params: Params) -> Column:
    correct = (
        (F.col(LABEL) == read("pred_label")).cast("double") if params.of == "correct" else None
    )
    value = F.col("reward") if correct is None else correct
    return F.when(value.isNotNull(), F.format_string("%.2e", value))


def allot(cells: Mapping[str, float], params: Params) -> dict[str, float]:
    """Rows of the stratum that are to be kept, by rows that it has.

    The minimum of all strata may be more than the budget, and is kept all the same.
    """
    strata: dict[str, Group] = {}
    for name, size in cells.items():
        stratum, value = _parted(name)
        strata.setdefault(stratum, {})[value] = size
    sizes = [sum(group.values()) for group in strata.values()]
    least = [min(params.minimum, size) for size in sizes]
    shares = SHARES[params.allocation](sizes, [spread(group) for group in strata.values()])
    claimed = fill(shares, least, sizes, params.rows)
    # What no share claims, because those that have one are kept whole, goes by size.
    given = fill(sizes, claimed, sizes, params.rows)
    chances = {
        stratum: min(1.0, float(expected) / size)
        for stratum, size, expected in zip(strata, sizes, given, strict=True)
    }
    return {name: chances[_parted(name)[0]] for name in cells}


SHARES: Mapping[str, Callable[[list[float], list[float]], Any]] = {
    "proportional": lambda sizes, _: sizes,
    "equal": lambda sizes, _: [1.0] * len(sizes),
    "neyman": neyman,
}
"""What each stratum claims of the budget, from its size and the spread within it."""


def _parted(name: str) -> tuple[str, str]:
    told = json.loads(name)
    return json.dumps(told["by"]), told.get("of", "")


def spread(group: Group) -> float:
    """The standard deviation within a stratum, with n - 1; 0 for fewer than two values."""
    known = {float(value): size for value, size in group.items() if value}
    n = sum(known.values())
    if n <= 1:
        return 0.0
    mean = sum(value * size for value, size in known.items()) / n
    return sqrt(sum(size * (value - mean) ** 2 for value, size in known.items()) / (n - 1))


def of_answers(params: Params) -> bool:
    """Whether strata are made of labels, or their spread is that of answers."""
    return LABEL in params.by or params.allocation == "neyman"


ENTRY = Policy("stratified", Params, cell, allot, reads, of_answers=of_answers)
