"""stratified: rows in groups, and a stated part of the budget for each group."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from math import sqrt
from typing import Any, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, field_validator, model_validator
from pyspark.sql import Column
from pyspark.sql import functions as F

from processor.datasets.allotment import chances, fill, neyman
from processor.datasets.sampling.base import Policy, read
from processor.plugins import nearest
from processor.sections import Section

LABEL, FEATURE, NEYMAN = "label", "str.", "neyman"
DIGITS = 4  # of spreads that were learned
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
    `spreads` says for neyman how much that varies within each stratum, where there are no answers
    yet to see it from; strata are named by their values, as `true|north`. One that is not named is
    taken for the one that varies most. `costs` says what a label of each costs, in any unit, 1
    where it says nothing: neyman then makes the most of the money that so many rows cost.
    """

    by: tuple[str, ...] = Field(min_length=1)
    rows: int = Field(gt=0)
    allocation: Literal["proportional", "equal", "neyman"] = "proportional"
    minimum: int = Field(default=1, gt=0)
    of: Literal["reward", "correct"] = "reward"
    spreads: dict[str, NonNegativeFloat] | None = None
    costs: dict[str, PositiveFloat] = Field(default={})

    @model_validator(mode="after")
    def _for_neyman(self) -> Self:
        for name in ("spreads", "costs"):
            if name in self.model_fields_set and self.allocation != NEYMAN:
                raise ValueError(f"{name} need `allocation: neyman`")
        return self

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
    if _sees_answers(params) and params.of == "correct":
        named.add("pred_label")
    return {name: _column(name) for name in sorted(named)}


def _sees_answers(params: Params) -> bool:
    return params.allocation == NEYMAN and params.spreads is None


def _column(name: str) -> Column:
    if name.startswith(FEATURE):
        return F.col("features_str")[name.removeprefix(FEATURE)]
    return F.col(name)


def cell(params: Params) -> Column:
    """The stratum, and where neyman has to see it, the value to be estimated, as JSON.

    The value has three digits.
    """
    by = [(F.col(LABEL) if name == LABEL else read(name)).alias(name) for name in params.by]
    named = [F.struct(*by).alias("by")]
    if _sees_answers(params):
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
    spreads = _told(strata, params) or [spread(group) for group in strata.values()]
    costs = [params.costs.get(title(stratum, params), 1.0) for stratum in strata]
    shares = SHARES[params.allocation](sizes, spreads, costs)
    claimed = fill(shares, least, sizes, params.rows)
    # What no share claims, because those that have one are kept whole, goes by size.
    given = fill(sizes, claimed, sizes, params.rows)
    each = chances(dict(zip(strata, sizes, strict=True)), given)
    return {name: each[_parted(name)[0]] for name in cells}


SHARES: Mapping[str, Callable[[list[float], list[float], list[float]], Any]] = {
    "proportional": lambda sizes, *_: sizes,
    "equal": lambda sizes, *_: [1.0] * len(sizes),
    NEYMAN: neyman,
}
"""What each stratum claims of the budget, from its size, the spread within it, and a row's cost."""


def _told(strata: Iterable[str], params: Params) -> list[float]:
    """What the parameters say of the spread within each stratum; nothing where they say nothing."""
    if params.spreads is None:
        return []
    most = max(params.spreads.values(), default=1.0)
    return [params.spreads.get(title(stratum, params), most) for stratum in strata]


def title(stratum: str, params: Params) -> str:
    """What parameters call a stratum: its values, `true|north`; nothing for a missing one."""
    values = json.loads(stratum)
    return "|".join(values.get(name, "") for name in params.by)


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
    return LABEL in params.by or _sees_answers(params)


def proposals(rows: int) -> list[dict[str, Any]]:
    """Each column, and each allocation."""
    return [
        {
            "by": [column],
            "rows": rows,
            "allocation": how,
            **({"spreads": {}} if how == NEYMAN else {}),
        }
        for column in COLUMNS
        for how in SHARES
    ]


def learned(params: Params, spreads: Mapping[str, float]) -> Params:
    """With the spread of each stratum, where it is to be told."""
    if params.spreads is None:
        return params
    told = {
        title(_parted(cell)[0], params): round(found, DIGITS) for cell, found in spreads.items()
    }
    return params.model_copy(update={"spreads": told})


ENTRY = Policy(
    "stratified",
    Params,
    cell,
    allot,
    reads,
    of_answers=of_answers,
    proposals=proposals,
    learned=learned,
)
