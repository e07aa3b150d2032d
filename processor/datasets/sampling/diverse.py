"""diverse: inputs that are nearly the same share a part of the budget, however many they are.

So that not all of them are asked about, or kept. After another policy it spreads what that one
would choose: the product of both probabilities is as exact as each.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, field_validator
from pyspark.sql import Column
from pyspark.sql import functions as F

from processor.datasets.allotment import chances, fill
from processor.datasets.sampling.base import Policy, read
from processor.sections import Names, Section

NUMBER, TEXT = "num.", "str."
_SEPARATORS = r"[^\p{L}\p{N}]+"


class Params(Section):
    """`rows` are expected to be kept, of each of the `cells` as many, or all that it has.

    Inputs are nearly the same, and in one cell, where they have the same text features, the same
    numbers to `digits` digits, and the same words, whatever their case. `by` names the features
    that count, as `num.<name>` or `str.<name>`; none: the whole input. Inputs that differ meet in a
    cell by chance alone.
    """

    rows: int = Field(gt=0)
    by: Names = ()
    digits: int = Field(default=2, gt=0, le=15)
    cells: int = Field(default=1024, gt=1, le=1 << 16)

    @field_validator("by")
    @classmethod
    def _features(cls, by: tuple[str, ...]) -> tuple[str, ...]:
        for name in by:
            if not name.startswith((NUMBER, TEXT)):
                raise ValueError(f"{name!r} names no feature: write num.{name} or str.{name}")
        return by


def reads(params: Params) -> dict[str, Column]:
    """A hash of the input, as far as it counts."""
    parts = [_feature(name, params) for name in params.by] or _whole(params)
    return {_name(params): F.xxhash64(*parts)}


def _name(params: Params) -> str:
    return f"input by {'|'.join(params.by)} to {params.digits} digits"


def _feature(name: str, params: Params) -> Column:
    if name.startswith(NUMBER):
        return _rounded(F.col("features_num")[name.removeprefix(NUMBER)], params)
    return F.col("features_str")[name.removeprefix(TEXT)]


def _whole(params: Params) -> list[Column]:
    numbers = F.transform(
        F.map_entries("features_num"),
        lambda each: F.struct(each["key"], _rounded(each["value"], params)),
    )
    return [
        F.array_sort(numbers),
        F.array_sort(F.map_entries("features_str")),
        _words(F.col("input_json")),
        F.transform("messages", lambda each: _words(each["content"])),
    ]


def _rounded(number: Column, params: Params) -> Column:
    return F.format_string(f"%.{params.digits - 1}e", number + 0.0)  # there is a zero below 0


def _words(text: Column) -> Column:
    return F.trim(F.regexp_replace(F.lower(text), _SEPARATORS, " "))


def cell(params: Params) -> Column:
    """One of so many, by the hash."""
    return F.pmod(read(_name(params)), F.lit(params.cells)).cast("string")


def allot(cells: Mapping[str, float], params: Params) -> dict[str, float]:
    """As many rows of each cell; what a small one cannot give, the others do."""
    sizes = list(cells.values())
    return chances(cells, fill([1.0] * len(sizes), [0.0] * len(sizes), sizes, params.rows))


ENTRY = Policy("diverse", Params, cell, allot, reads)
