"""What a rule of consensus is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Protocol

from processor.feedback.rule import Tie
from processor.sections import Section
from processor.terms import Terms, Value

WHOLE_WEIGHT = 1_000_000
"""Weights are counted in millionths: sums of whole numbers have no order, so a tie is exact."""


@dataclass(frozen=True)
class Rater(Generic[Value]):
    """Who answers: a name, a symbol of RaterKind, and how sure, from 0 to 1; any may be missing."""

    name: Value
    kind: Value
    confidence: Value


class Weight(Protocol):
    """What a rater's word counts for."""

    def __call__(self, on: Terms[Value], rater: Rater[Value], params: Any, /) -> Value:  # noqa: ANN401  # the rule's own
        """A number of 0 or more; who has 0 is not heard."""
        ...


@dataclass(frozen=True)
class ConsensusRule:
    """A way to come from many answers to one: of each rater the last that stands has a vote.

    The value of the largest weight wins. `weight` None: raters are not told apart, and the last
    answer that stands wins.
    """

    name: str
    params: type[Section]
    weight: Weight | None


class NoParams(Section):
    """None."""


class Params(Section):
    """`tie` says which of the values that lead wins; None: none does, and the tie stays."""

    tie: Tie | None = None
