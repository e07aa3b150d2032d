"""last: the last inference before the answer has all of it."""

from __future__ import annotations

from processor.feedback.credit.base import FROM_LAST, CreditRule, NoParams
from processor.terms import Terms, Value


def score(on: Terms[Value], _params: NoParams) -> Value:
    """1 for the last."""
    is_last = on.equal(on.number(FROM_LAST), on.literal(0.0))
    return on.choose(is_last, on.literal(1.0), on.literal(0.0))


ENTRY = CreditRule("last", NoParams, score)
