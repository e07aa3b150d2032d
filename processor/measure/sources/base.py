"""What a test of sources is: evidence that one is not honest, as an e-value.

An e-value is what a bet against the source has made of 1, if an honest source makes no bet pay on
average. So an honest source ever reaches 1 / alpha with a probability of at most alpha, whenever
one looks and however often (J. Ville 1939; G. Shafer, JRSS A 184 (2021) 407). Bets are made with
several `STAKES` at once, and the mean of what they come to is an e-value again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, inf, log, log1p

from processor.loops import SourcesConfig

STAKES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""The shares of what one has that are bet on each answer."""

NANO = 1e9
"""Logarithms are counted in whole billionths, rounded down: their sums depend on no order."""


@dataclass(frozen=True)
class Tally:
    """What was counted of a source in all batches so far.

    `answers` of all kinds. `timed`: those of people that say how long they took; `fast`: sooner
    than a person can. `minutes` in which a person answered; `crowded`: with more than a person can
    give. `compared`: answers to what enough others answered too, once each; `matched` are those
    that agree with the majority of the others, a tie of k counting 1 / k, and `expected` is the
    same of everybody who answered. `bets`: ln of what each stake has come to, in billionths.
    `only`: the value that all compared answers have; `sameness`: -ln of the probability of that,
    in billionths, and `most` the largest part of it that one answer has.
    """

    answers: int = 0
    timed: int = 0
    fast: int = 0
    minutes: int = 0
    crowded: int = 0
    compared: int = 0
    matched: float = 0.0
    expected: float = 0.0
    bets: tuple[int, ...] = (0,) * len(STAKES)
    only: str | None = None
    sameness: int = 0
    most: int = 0


@dataclass(frozen=True)
class SourceTest:
    """A reason to call a source misbehaving; `log_e` is ln of the e-value of what was counted."""

    name: str
    log_e: Callable[[Tally, SourcesConfig], float]


def log_mean(logs: Sequence[float]) -> float:
    """Ln of the mean of numbers given by their logarithms: the mean of e-values is one."""
    top = max(logs)
    if top == -inf:
        return -inf
    return top + log(sum(exp(each - top) for each in logs) / len(logs))


def too_often(hits: int, tries: int, share: float) -> float:
    """Ln of the e-value against "it happens in no more than this share of the tries"."""
    return log_mean(
        [hits * log1p(s * (1 - share) / share) + (tries - hits) * log1p(-s) for s in STAKES]
    )
