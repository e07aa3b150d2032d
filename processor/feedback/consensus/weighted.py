"""weighted: the value with the most weight behind it, by who the raters are and how sure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from processor.feedback.consensus import base
from processor.feedback.consensus.base import ConsensusRule, Rater
from processor.terms import Terms, Value

MOST = 1e6  # beside the millionths that weights are counted in, still a whole number of 64 bits
Kind = Literal["UNKNOWN", "END_USER", "EXPERT", "CROWD", "LLM_JUDGE", "REWARD_MODEL", "RULE"]
Size = Annotated[float, Field(ge=0, le=MOST)]


class Params(base.Params):
    """The weights of raters, by name and by kind; 1 for others, 0 for those not to be heard.

    `by_confidence` multiplies by the confidence of each answer; one that states none is sure.
    """

    raters: dict[str, Size] = Field(default={})
    kinds: dict[Kind, Size] = Field(default={})
    by_confidence: bool = False


def weight(on: Terms[Value], rater: Rater[Value], params: Params) -> Value:
    """That of the name; where it has none that of the kind."""
    named = [_for(on, rater.name, name, size) for name, size in params.raters.items()]
    typed = [_for(on, rater.kind, kind, size) for kind, size in params.kinds.items()]
    found = on.first(*named, *typed, on.literal(1.0))
    if not params.by_confidence:
        return found
    return on.times(found, on.first(rater.confidence, on.literal(1.0)))


def _for(on: Terms[Value], said: Value, name: str, size: float) -> Value:
    return on.choose(on.equal(said, on.literal(name)), on.literal(size))


ENTRY = ConsensusRule("weighted", Params, weight)
