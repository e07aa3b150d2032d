"""majority: the value that most raters give; the most, where it is fewer than half of them."""

from __future__ import annotations

from processor.feedback.consensus.base import ConsensusRule, Params, Rater
from processor.terms import Terms, Value


def weight(on: Terms[Value], _rater: Rater[Value], _params: Params) -> Value:
    """1 for everyone."""
    return on.literal(1.0)


ENTRY = ConsensusRule("majority", Params, weight)
