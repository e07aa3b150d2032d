"""`Terms` of many events: each operation is a Spark expression over the columns of their rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F


class Columns:
    """What `Plain` says of one event, of every row of a frame; null is missing.

    The fields are those of `event`, a record; those of the row where none is given.
    """

    def __init__(self, event: Column | None = None) -> None:
        self._event = event

    def field(self, name: str) -> Column:
        if self._event is None:
            return F.col(name)
        return reduce(Column.__getitem__, name.split("."), self._event)

    def number(self, name: str) -> Column:
        return _finite(self.field(name).cast("double"))

    def head(self, name: str) -> Column:
        return F.get(self.field(name), F.lit(0))

    def micros(self, name: str) -> Column:
        return F.unix_micros(self.field(name)).cast("double")

    def literal(self, value: str | float | bool) -> Column:  # noqa: FBT001  # a value, not a flag
        return F.lit(value)

    def missing(self) -> Column:
        return F.lit(None)

    def text(self, value: Column) -> Column:
        return value.cast("string")

    def joined(self, by: str, *texts: Column) -> Column:
        # Not concat_ws, which passes over what is missing.
        apart = [part for text in texts for part in (F.lit(by), text)]
        return F.concat(*apart[1:])

    def first(self, *values: Column) -> Column:
        return F.coalesce(*values)

    def choose(self, condition: Column, then: Column, otherwise: Column | None = None) -> Column:
        return F.when(condition, then).otherwise(otherwise)

    def given(self, value: Column) -> Column:
        return value.isNotNull()

    def every(self, *conditions: Column) -> Column:
        return reduce(Column.__and__, (F.coalesce(each, F.lit(False)) for each in conditions))

    def some(self, *conditions: Column) -> Column:
        return reduce(Column.__or__, conditions)

    def no(self, condition: Column) -> Column:
        return ~condition

    def equal(self, one: Column, other: Column) -> Column:
        return one == other

    def among(self, value: Column, choices: Sequence[str]) -> Column:
        return value.isin(*choices)

    def at_least(self, one: Column, other: Column) -> Column:
        return one >= other

    def within(self, value: Column, low: Column, high: Column) -> Column:
        return value.between(low, high)

    def finite(self, value: Column) -> Column:
        return F.abs(value) < math.inf  # NaN is larger than infinity to Spark

    def minus(self, one: Column, other: Column) -> Column:
        return one - other

    def times(self, one: Column, other: Column) -> Column:
        return one * other

    def over(self, one: Column, other: Column) -> Column:
        return _finite(F.try_divide(one, other))

    def power(self, base: Column, exponent: Column) -> Column:
        return F.pow(base, exponent)

    def size(self, value: Column) -> Column:
        return F.size(value)

    def keys(self, value: Column) -> Column:
        return F.map_keys(value)

    def values(self, value: Column) -> Column:
        return F.map_values(value)

    def of(self, record: Column, name: str) -> Column:
        return record[name]

    def each(self, records: Column, name: str) -> Column:
        return records[name]

    def exists(self, values: Column, test: Callable[[Column], Column]) -> Column:
        return F.exists(values, test)

    def holds(self, values: Column, item: Column) -> Column:
        return F.array_contains(values, item)

    def repeated(self, values: Column) -> Column:
        return F.size(F.array_distinct(values)) < F.size(values)

    def total(self, values: Column) -> Column:
        return F.aggregate(values, F.lit(0.0), lambda so_far, each: so_far + each)


def _finite(number: Column) -> Column:
    # NaN is larger than infinity to Spark, so one comparison finds both.
    return F.when(F.abs(number) < math.inf, number)
