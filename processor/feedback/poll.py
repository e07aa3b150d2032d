"""What the answers of several raters come to, of one inference. No Spark.

The same as `processor.feedback.polls` says of many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from processor.feedback.answer import Answer
from processor.feedback.rule import RETRACT, TIED, Rule


def polled(standing: Sequence[Answer], rule: Rule) -> Answer | None:
    """The last answer of those for the value that wins, from answers in order; None: nobody's.

    Where everyone has taken theirs back, the last that does; where values tie, and the tie stays,
    the last vote with the op TIED, and no value.
    """
    heard = voices(standing)
    votes = [answer for answer in heard if answer.op != RETRACT]
    if not votes:
        return heard[-1] if heard else None
    won = favoured(leaders(votes), rule)
    if len(won) == 1 or (rule.poll is not None and rule.poll.tie == "last"):
        return [vote for vote in votes if vote.value in won][-1]
    return replace(votes[-1], op=TIED, value=None, reward=None)


def voices(standing: Sequence[Answer]) -> list[Answer]:
    """The last answer of each rater who has a weight; one without a name stands for itself."""
    last = {answer.rater: number for number, answer in enumerate(standing)}
    return [
        answer
        for number, answer in enumerate(standing)
        if answer.rater is None or last[answer.rater] == number
        if answer.op == RETRACT or answer.weight > 0
    ]


def leaders(votes: Sequence[Answer]) -> set[str | None]:
    """The values of the largest weight: several, where they tie."""
    weights: Counter[str | None] = Counter()
    for vote in votes:
        weights[vote.value] += vote.weight
    return {value for value, weight in weights.items() if weight == max(weights.values())}


def favoured(leading: set[str | None], rule: Rule) -> set[str | None]:
    """Those of several that the rule prefers."""
    tie = rule.poll.tie if rule.poll else None
    if len(leading) == 1 or tie not in ("positive", "negative"):
        return leading
    return {value for value in leading if (value == rule.positive) == (tie == "positive")}
