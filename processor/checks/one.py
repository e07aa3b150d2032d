"""The defects of one event, before it is sent: what the batch would find, and no Spark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from string import Formatter
from typing import Any

from processor.avro.conform import conform
from processor.avro.contracts import Schema, contract
from processor.avro.defects import MEANING, TOO_LARGE
from processor.avro.encode import by_fingerprint, encode
from processor.avro.framing import LARGEST_RECORD
from processor.checks.base import DETAIL_LIMIT, STAMP, Rule
from processor.checks.rules import rules
from processor.terms.plain import Plain, shown


@dataclass(frozen=True)
class Defect:
    """One way in which an event is wrong: a code that never changes, and what is wrong in words."""

    code: str
    detail: str


def check(
    record_name: str,
    event: Mapping[str, Any],
    stamp: datetime | None = None,
    largest: int = LARGEST_RECORD,
) -> list[Defect]:
    """What keeps an event from being valid; nothing for one that the batch would take.

    First whether it has the shape of its contract: `unknown_field`, `missing_field` and
    `wrong_type`. One that can be encoded is then asked whether that takes more than `largest`
    bytes, and for each rule of its type. `event` has the fields of the record, as a decoder of
    Avro gives them or as JSON holds them; those left out have their defaults. `stamp` is the time
    at which it is sent; without one the clock is not looked at.

    Raises:
        ConfigError: there is no such record, or nobody sends it.
    """
    asked = rules(record_name)
    found = conform(_schema(record_name), event)
    defects = [Defect(each.code, each.detail[:DETAIL_LIMIT]) for each in found.misfits]
    if found.whole:
        defects += _size(record_name, found.record, largest)
        on = Plain({**found.record, STAMP: stamp})
        defects += [Defect(rule.code, _detail(rule, on)) for rule in asked if rule.broken(on)]
    return defects


@cache
def _schema(record: str) -> Schema:
    return contract(record).schema


def _size(record: str, event: Mapping[str, Any], largest: int) -> Iterator[Defect]:
    text = contract(record).text
    if len(encode(event, text, by_fingerprint(text))) > largest:
        yield Defect(TOO_LARGE, MEANING[TOO_LARGE])


def _detail(rule: Rule, on: Plain) -> str:
    named = (field for _, field, _, _ in Formatter().parse(rule.detail) if field is not None)
    return rule.detail.format(**{name: shown(on.field(name)) for name in named})[:DETAIL_LIMIT]
