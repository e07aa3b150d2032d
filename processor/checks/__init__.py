"""What makes an event valid: pure column rules, one file per event type."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterable
from functools import reduce
from string import Formatter

from pyspark.sql import Column
from pyspark.sql import functions as F

from processor.checks.base import HEADER, STAMP, EventChecks, Rule
from processor.plugins import Registry

CHECKS: Registry[EventChecks] = Registry(sys.modules[__name__], "event type")
DETAIL_LIMIT = 500  # characters: a detail names a value, it does not carry it
_DEFECTS = "array<struct<code:string,detail:string>>"


def rules(record: str) -> tuple[Rule, ...]:
    """The rules of a record, those of the header first; raises ConfigError on an unknown one."""
    return (*HEADER, *CHECKS[record].rules)


def defects(record: str, event: Column, stamp: Column) -> Column:
    """The rules that an event breaks, in the order of `rules`; empty for a valid or a null event.

    `event` is the decoded record as its contract has it, `stamp` the record's timestamp. The
    result is an `array<struct<code: string, detail: string>>` and never null.
    """
    found = [
        F.when(
            rule.broken(event, stamp),
            F.struct(F.lit(rule.code).alias("code"), _detail(rule, event, stamp).alias("detail")),
        )
        for rule in rules(record)
    ]
    none = F.array().cast(_DEFECTS)
    # Almost every event keeps every rule, and to find that out costs a third of saying it.
    kept = ~_any(F.coalesce(rule.broken(event, stamp), F.lit(False)) for rule in rules(record))
    return F.when(event.isNull() | kept, none).otherwise(
        F.array_compact(F.array(*found)).cast(_DEFECTS)
    )


def _any(tests: Iterable[Column]) -> Column:
    return reduce(operator.or_, tests)


def _detail(rule: Rule, event: Column, stamp: Column) -> Column:
    parts: list[Column] = []
    for text, field, _, _ in Formatter().parse(rule.detail):
        parts.append(F.lit(text))
        if field is not None:
            value = stamp if field == STAMP else event[field]
            parts.append(F.coalesce(value.cast("string"), F.lit("null")))
    return F.substring(F.concat(*parts), 1, DETAIL_LIMIT)
