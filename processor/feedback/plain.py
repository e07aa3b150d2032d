"""`Terms` of one event: what a definition comes to, without Spark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

PLAIN_DIGITS = (1e-3, 1e7)
"""Numbers from here to there are written without an exponent, as Java does."""


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

    def first(self, *values: Any) -> Any:
        return next((value for value in values if value is not None), None)

    def choose(self, condition: Any, then: Any, otherwise: Any = None) -> Any:
        return then if condition else otherwise

    def given(self, value: Any) -> bool:
        return value is not None

    def every(self, *conditions: Any) -> bool:
        return all(conditions)

    def equal(self, one: Any, other: Any) -> bool | None:
        return None if one is None or other is None else bool(one == other)

    def among(self, value: Any, choices: Sequence[str]) -> bool | None:
        return None if value is None else value in choices

    def at_least(self, one: float | None, other: float | None) -> bool | None:
        return None if one is None or other is None else one >= other

    def minus(self, one: float | None, other: float | None) -> float | None:
        return None if one is None or other is None else one - other

    def times(self, one: float | None, other: float | None) -> float | None:
        return None if one is None or other is None else one * other

    def over(self, one: float | None, other: float | None) -> float | None:
        quotient = None if one is None or not other else one / other
        return quotient if quotient is not None and math.isfinite(quotient) else None

    def power(self, base: float | None, exponent: float | None) -> float | None:
        return None if base is None or exponent is None else math.pow(base, exponent)


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
