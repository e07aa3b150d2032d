"""`Terms` of one event: what a definition comes to, without Spark."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import add
from typing import Any

PLAIN_DIGITS = (1e-3, 1e7)
"""Numbers from here to there are written without an exponent, as Java does."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Plain:
    """`Terms` of one event, a mapping as a decoder of Avro gives it; None is missing."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        self._event = event

    def field(self, name: str) -> Any:
        found: Any = self._event
        for part in name.split("."):
            found = None if found is None else found.get(part)
        return found

    def number(self, name: str) -> float | None:
        found = self.field(name)
        return float(found) if found is not None and math.isfinite(found) else None

    def head(self, name: str) -> Any:
        found = self.field(name)
        return found[0] if found else None

    def micros(self, name: str) -> float | None:
        found = self.field(name)
        return None if found is None else float((found - _EPOCH) // timedelta(microseconds=1))

    def literal(self, value: str | float | bool) -> Any:  # noqa: FBT001  # a value
        return value

    def missing(self) -> None:
        return None

    def text(self, value: Any) -> str | None:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int | float):
            return number_text(float(value))
        return None if value is None else str(value)

    def joined(self, by: str, *texts: Any) -> str | None:
        return None if any(text is None for text in texts) else by.join(texts)

    def first(self, *values: Any) -> Any:
        return next((value for value in values if value is not None), None)

    def choose(self, condition: Any, then: Any, otherwise: Any = None) -> Any:
        return then if condition else otherwise

    def given(self, value: Any) -> bool:
        return value is not None

    def every(self, *conditions: Any) -> bool:
        return all(conditions)

    def some(self, *conditions: Any) -> bool | None:
        return _some(conditions)

    def no(self, condition: bool | None) -> bool | None:  # noqa: FBT001  # a value, not a flag
        return None if condition is None else not condition

    def equal(self, one: Any, other: Any) -> bool | None:
        return None if one is None or other is None else bool(one == other)

    def among(self, value: Any, choices: Sequence[str]) -> bool | None:
        return None if value is None else value in choices

    def at_least(self, one: float | None, other: float | None) -> bool | None:
        return None if one is None or other is None else one >= other

    def within(self, value: float | None, low: float | None, high: float | None) -> bool | None:
        return None if value is None or low is None or high is None else low <= value <= high

    def finite(self, value: float | None) -> bool | None:
        return None if value is None else math.isfinite(value)

    def minus(self, one: float | None, other: float | None) -> float | None:
        return None if one is None or other is None else one - other

    def times(self, one: float | None, other: float | None) -> float | None:
        return None if one is None or other is None else one * other

    def over(self, one: float | None, other: float | None) -> float | None:
        quotient = None if one is None or not other else one / other
        return quotient if quotient is not None and math.isfinite(quotient) else None

    def power(self, base: float | None, exponent: float | None) -> float | None:
        return None if base is None or exponent is None else math.pow(base, exponent)

    def size(self, value: Any) -> int | None:
        return None if value is None else len(value)

    def keys(self, value: Any) -> list[Any] | None:
        return None if value is None else list(value)

    def values(self, value: Any) -> list[Any] | None:
        return None if value is None else list(value.values())

    def of(self, record: Any, name: str) -> Any:
        return None if record is None else record[name]

    def each(self, records: Any, name: str) -> list[Any] | None:
        return None if records is None else [record[name] for record in records]

    def exists(self, values: Any, test: Callable[[Any], Any]) -> bool | None:
        return None if values is None else _some([test(value) for value in values])

    def holds(self, values: Any, item: Any) -> bool | None:
        return None if values is None or item is None else item in values

    def repeated(self, values: Any) -> bool | None:
        return None if values is None else len(set(values)) < len(values)

    def total(self, values: Any) -> float | None:
        return None if values is None else reduce(add, values, 0.0)


def _some(conditions: Sequence[Any]) -> bool | None:
    if any(conditions):
        return True
    return None if any(each is None for each in conditions) else False


def shown(value: Any) -> str:  # any value of an event
    """A value as Spark's cast to a string writes it, times in UTC; `null` for none."""
    if value is None:
        return "null"
    if isinstance(value, bool | str):
        return str(value) if isinstance(value, str) else str(value).lower()
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}".rstrip("0").rstrip(".")
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key} -> {shown(each)}' for key, each in value.items())}}}"
    return str(value)


def number_text(number: float) -> str:
    """A double as Java writes it: `1.0`, `0.25`, `1.0E7`."""
    if number == 0 or not math.isfinite(number):
        named = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}
        return named.get(str(number), str(number))
    low, high = PLAIN_DIGITS
    if low <= abs(number) < high:
        return repr(number)
    mantissa, _, exponent = _scientific(number).partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{int(exponent)}"


def _scientific(number: float) -> str:
    """With an exponent, in as few digits as name no other double."""
    digits = len(repr(abs(number)).partition("e")[0].replace(".", "").strip("0"))
    return f"{number:.{max(digits - 1, 0)}e}"
