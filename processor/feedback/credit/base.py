"""What a rule of credit is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from processor.sections import Section
from processor.terms import Terms, Value

FROM_FIRST, FROM_LAST, BEHIND = "from_first", "from_last", "behind"
"""Fields of an inference among those that share an answer: its place counted from either end,
0 at the end, and the seconds that it is before the last of them."""


class Score(Protocol):
    """How much an inference deserves, beside the others."""

    def __call__(self, on: Terms[Value], params: Any, /) -> Value:  # noqa: ANN401  # the rule's own
        """A number of 0 or more."""
        ...


@dataclass(frozen=True)
class CreditRule:
    """A way to divide an answer: each inference gets its share of the sum of all scores.

    `score` is given `FROM_FIRST`, `FROM_LAST` and `BEHIND`. Of any inferences, at least one has
    a score above 0, so that the shares sum to 1.
    """

    name: str
    params: type[Section]
    score: Score


class NoParams(Section):
    """None."""
