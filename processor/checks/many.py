"""The defects of many events, as a column: pure expressions, run on the JVM alone."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from functools import reduce
from string import Formatter

from pyspark.sql import Column
from pyspark.sql import functions as F

from processor.checks.base import DETAIL_LIMIT, STAMP, Rule
from processor.checks.rules import rules
from processor.terms.columns import Columns

_DEFECTS = "array<struct<code:string,detail:string>>"


class _Stamped(Columns):
    """The fields of a decoded record, and the record's timestamp beside them."""

    def __init__(self, event: Column, stamp: Column) -> None:
        super().__init__(event)
        self._stamp = stamp

    def field(self, name: str) -> Column:
        """That of the event, or the timestamp."""
        return self._stamp if name == STAMP else super().field(name)


def defects(record: str, event: Column, stamp: Column) -> Column:
    """The rules that an event breaks, in the order of `rules`; empty for a valid or a null event.

    `event` is the decoded record as its contract has it, `stamp` the record's timestamp. The
    result is an `array<struct<code: string, detail: string>>` and never null.
    """
    on = _Stamped(event, stamp)
    found = [
        F.when(
            rule.broken(on),
            F.struct(F.lit(rule.code).alias("code"), _detail(rule, on).alias("detail")),
        )
        for rule in rules(record)
    ]
    none = F.array().cast(_DEFECTS)
    # Almost every event keeps every rule, and to find that out costs a third of saying it.
    kept = ~_any(F.coalesce(rule.broken(on), F.lit(False)) for rule in rules(record))
    return F.when(event.isNull() | kept, none).otherwise(
        F.array_compact(F.array(*found)).cast(_DEFECTS)
    )


def _any(tests: Iterable[Column]) -> Column:
    return reduce(operator.or_, tests)


def _detail(rule: Rule, on: _Stamped) -> Column:
    parts: list[Column] = []
    for text, field, _, _ in Formatter().parse(rule.detail):
        parts.append(F.lit(text))
        if field is not None:
            parts.append(F.coalesce(on.field(field).cast("string"), F.lit("null")))
    return F.substring(F.concat(*parts), 1, DETAIL_LIMIT)
