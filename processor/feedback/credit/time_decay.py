"""time_decay: an inference has half as much for every half-life that it is further back."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from processor.feedback.credit.base import BEHIND, CreditRule
from processor.sections import Duration, Section
from processor.terms import Terms, Value

HALF = 0.5


class Params(Section):
    """`half_life` is the time in which credit halves."""

    half_life: Duration = Field(gt=timedelta(0))


def score(on: Terms[Value], params: Params) -> Value:
    """1 for the last, which is what keeps the sum above 0 however far back all of them are."""
    half_lives = on.over(on.number(BEHIND), on.literal(params.half_life.total_seconds()))
    return on.power(on.literal(HALF), half_lives)


ENTRY = CreditRule("time_decay", Params, score)
