"""first: the first inference that the answer can be about has all of it."""

from __future__ import annotations

from processor.feedback.credit.base import FROM_FIRST, CreditRule, NoParams
from processor.terms import Terms, Value


def score(on: Terms[Value], _params: NoParams) -> Value:
    """1 for the first."""
    is_first = on.equal(on.number(FROM_FIRST), on.literal(0.0))
    return on.choose(is_first, on.literal(1.0), on.literal(0.0))


ENTRY = CreditRule("first", NoParams, score)
