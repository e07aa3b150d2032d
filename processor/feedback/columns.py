"""`Terms` of many events: each operation is a Spark expression over the columns of their rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F


class Columns:
    """What `Plain` says of one event, of every row of a frame; null is missing."""

    def field(self, name: str) -> Column:
        return F.col(name)

    def number(self, name: str) -> Column:
        return _finite(F.col(name).cast("double"))

    def head(self, name: str) -> Column:
        return F.get(F.col(name), F.lit(0))

    def literal(self, value: str | float | bool) -> Column:  # noqa: FBT001  # a value, not a flag
        return F.lit(value)

    def missing(self) -> Column:
        return F.lit(None)

    def text(self, value: Column) -> Column:
        return value.cast("string")

    def first(self, *values: Column) -> Column:
        return F.coalesce(*values)

    def choose(self, condition: Column, then: Column, otherwise: Column | None = None) -> Column:
        return F.when(condition, then).otherwise(otherwise)

    def given(self, value: Column) -> Column:
        return value.isNotNull()

    def every(self, *conditions: Column) -> Column:
        return reduce(Column.__and__, (F.coalesce(each, F.lit(False)) for each in conditions))

    def equal(self, one: Column, other: Column) -> Column:
        return one == other

    def among(self, value: Column, choices: Sequence[str]) -> Column:
        return value.isin(*choices)

    def at_least(self, one: Column, other: Column) -> Column:
        return one >= other

    def minus(self, one: Column, other: Column) -> Column:
        return one - other

    def times(self, one: Column, other: Column) -> Column:
        return one * other

    def over(self, one: Column, other: Column) -> Column:
        return _finite(F.try_divide(one, other))

    def power(self, base: Column, exponent: Column) -> Column:
        return F.pow(base, exponent)


def _finite(number: Column) -> Column:
    # NaN is larger than infinity to Spark, so one comparison finds both.
    return F.when(F.abs(number) < math.inf, number)
