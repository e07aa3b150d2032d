"""uniform: every inference has the same."""

from __future__ import annotations

from processor.feedback.credit.base import CreditRule, NoParams
from processor.terms import Terms, Value


def score(on: Terms[Value], _params: NoParams) -> Value:
    """1 for each."""
    return on.literal(1.0)


ENTRY = CreditRule("uniform", NoParams, score)
