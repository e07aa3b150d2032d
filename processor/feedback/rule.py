"""When answers count, and what they make of an inference: the words that both forms share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

POSITIVE, NEGATIVE, VALUE, RETRACTED = "POSITIVE", "NEGATIVE", "VALUE", "RETRACTED"
TIED = "TIED"  # raters disagree evenly: the state of such an inference, and the op of their word
ON_TIME, LATE, OUTSIDE, DEFAULT = "ON_TIME", "LATE", "OUTSIDE", "DEFAULT"
KNOWN_BY = (ON_TIME, DEFAULT)
"""The timings of rows that say what is known; the others are records of what came amiss."""

CREDITED_ROLES = ("PRIMARY", "CANARY")
"""Roles whose outputs someone saw; a shadow's output is never credited with an answer."""

OK = "OK"  # the status of an inference that answered
CREATE = "CREATE"  # the op of an event that revises no other
RETRACT = "RETRACT"  # the op of an event that takes another back
REWARDS = {POSITIVE: 1.0, NEGATIVE: 0.0}
"""What a label is worth; a number is its own reward."""

WHOLE, NONE = 1.0, 0.0
"""The credit of an answer about one inference alone, and of one whose answers went to others."""


Tie = Literal["positive", "negative", "last"]
"""Which of the values that lead wins: the positive one, the other one, or the last given."""


@dataclass(frozen=True)
class Poll:
    """Each rater has one vote; where values tie, `tie` says which wins, and None that none does."""

    tie: Tie | None = None


@dataclass(frozen=True)
class Rule:
    """How answers become outcomes of one metric; `silence` is the value that none means.

    `positive` is the value that makes an outcome POSITIVE; None where values have no side.
    An answer is recorded until `late` after the window was closed; None: whenever it comes.
    `poll` is None where the last answer that stands counts, whoever gave it. `near`: what the same
    source says of the same again within it is no answer; None: it is one.
    """

    metric: str
    window: timedelta
    grace: timedelta
    positive: str | None
    silence: str | None = None
    late: timedelta | None = None
    poll: Poll | None = None
    near: timedelta | None = None

    @property
    def patience(self) -> timedelta:
        """How long after the response the window is closed."""
        return self.window + self.grace

    def horizon(self, mark: datetime | None) -> datetime | None:
        """What responded by then is settled once the watermark is `mark`: no answer changes it.

        None where nothing is: before there is a watermark, or if answers are awaited for ever.
        """
        if mark is None or self.late is None:
            return None
        return mark - self.patience - self.late
