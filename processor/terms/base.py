"""The few operations that a definition is written in: once, for one event and for many.

A definition is a function of `Terms`. Given `plain.Plain` it says what one event means, without
Spark; given `columns.Columns` it is the Spark expression that says the same.
A missing value makes the result of an operation missing, unless it says otherwise. Spark and Python
differ on where NaN stands among numbers: whoever compares one that may be NaN asks `within` or
`finite`, which say the same in both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

Value = TypeVar("Value")


class Terms(Protocol[Value]):
    """Operations on values of one kind: plain ones, or Spark's columns."""

    def field(self, name: str) -> Value:
        """A field of the event; `a.b` is the field `b` of the record `a`."""
        ...

    def number(self, name: str) -> Value:
        """A field as a double; missing where it is not finite."""
        ...

    def head(self, name: str) -> Value:
        """The first of a list; missing where it is empty."""
        ...

    def micros(self, name: str) -> Value:
        """A time as microseconds since 1970, a double: exact from 1685 to 2255."""
        ...

    def literal(self, value: str | float | bool) -> Value:  # noqa: FBT001  # a value, not a flag
        """The same for every event."""
        ...

    def missing(self) -> Value:
        """Nothing."""
        ...

    def text(self, value: Value) -> Value:
        """A text, a truth or a double as text; a double as Java writes it."""
        ...

    def joined(self, by: str, *texts: Value) -> Value:
        """Texts in one, with `by` between them."""
        ...

    def first(self, *values: Value) -> Value:
        """The first that is not missing."""
        ...

    def choose(self, condition: Value, then: Value, otherwise: Value | None = None) -> Value:
        """One of two; a missing condition is not met, and no `otherwise` is missing."""
        ...

    def given(self, value: Value) -> Value:
        """Whether it is there; never missing."""
        ...

    def every(self, *conditions: Value) -> Value:
        """Whether all are met; a missing one is not met."""
        ...

    def some(self, *conditions: Value) -> Value:
        """Whether any is met; missing if none is and one is missing."""
        ...

    def no(self, condition: Value) -> Value:
        """Whether it is not met."""
        ...

    def equal(self, one: Value, other: Value) -> Value:
        """Whether two are the same; missing if either is."""
        ...

    def among(self, value: Value, choices: Sequence[str]) -> Value:
        """Whether a text is one of several."""
        ...

    def at_least(self, one: Value, other: Value) -> Value:
        """Whether a number is another, or more."""
        ...

    def within(self, value: Value, low: Value, high: Value) -> Value:
        """Whether a number is in `[low, high]`, as NaN never is."""
        ...

    def finite(self, value: Value) -> Value:
        """Whether a number is neither NaN nor infinite."""
        ...

    def minus(self, one: Value, other: Value) -> Value:
        """The difference of two numbers."""
        ...

    def times(self, one: Value, other: Value) -> Value:
        """The product of two numbers."""
        ...

    def over(self, one: Value, other: Value) -> Value:
        """The quotient of two numbers; missing where it is not finite."""
        ...

    def power(self, base: Value, exponent: Value) -> Value:
        """A number to the power of another."""
        ...

    def size(self, value: Value) -> Value:
        """How many items a list or a map has."""
        ...

    def keys(self, value: Value) -> Value:
        """The keys of a map."""
        ...

    def values(self, value: Value) -> Value:
        """The values of a map, in no order that both agree on."""
        ...

    def of(self, record: Value, name: str) -> Value:
        """The field of a record."""
        ...

    def each(self, records: Value, name: str) -> Value:
        """The field of each record of a list."""
        ...

    def exists(self, values: Value, test: Callable[[Value], Value]) -> Value:
        """Whether an item of a list meets a test; missing as `some` is."""
        ...

    def holds(self, values: Value, item: Value) -> Value:
        """Whether a list has an item."""
        ...

    def repeated(self, values: Value) -> Value:
        """Whether a list has an item twice."""
        ...

    def total(self, values: Value) -> Value:
        """The sum of a list of doubles, from the first to the last; 0 for none."""
        ...


class Formula(Protocol):
    """A definition: the same whichever values it is given."""

    def __call__(self, on: Terms[Value], /) -> Value:
        """What it comes to."""
        ...
