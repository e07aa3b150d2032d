"""A crowd that answers the same questions: honest raters, and bots of several kinds among them.

Of all questions, `AMBIGUOUS_SHARE` have no right answer: honest raters are of two minds there, and
ties are common. Elsewhere an honest rater is right with a skill of its own. Bots:

    random       any answer
    positive     always yes
    contrarian   the opposite of what is right
    clique       any answer, but the same one for all of the clique
    fast         as an honest rater, sooner than a person can
    flood        as an honest rater, more in a minute than a person can
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

HONEST = "honest"
BOTS = ("random", "positive", "contrarian", "clique", "fast", "flood")

AMBIGUOUS_SHARE = 0.2
POSITIVE_SHARE = 0.6  # of the questions that have a right answer
SKILL = (0.8, 0.97)  # how often an honest rater is right where there is a right answer, uniform
MEDIAN_REACTION_MS = 4000.0
REACTION_SIGMA = 0.7  # standard deviation of the reaction's logarithm
FAST_MS = (20, 150)  # uniform
SECONDS_BETWEEN = 90  # how far apart the answers of an honest rater are, at least
FLOOD_SECONDS = 1

Whole = npt.NDArray[np.int64]


class Crowd(NamedTuple):
    """Who they are: `kinds` has a name for each rater, HONEST or one of BOTS."""

    kinds: tuple[str, ...]
    skills: npt.NDArray[np.float64]


class Ratings(NamedTuple):
    """One row an answer: `at` are seconds since the beginning."""

    question: Whole
    rater: Whole
    yes: npt.NDArray[np.bool_]
    reaction_ms: Whole
    at: Whole


def crowd(honest: int, bots: int, rng: np.random.Generator) -> Crowd:
    """`honest` honest raters, and `bots` bots of each kind."""
    kinds = (HONEST,) * honest + tuple(kind for kind in BOTS for _ in range(bots))
    return Crowd(kinds, rng.uniform(*SKILL, len(kinds)))


def rated(them: Crowd, questions: int, each: int, rng: np.random.Generator) -> Ratings:
    """`each` raters, drawn at random, answer each of the questions."""
    drawn = rng.random((questions, len(them.kinds))).argsort(axis=1)[:, :each]
    question = np.repeat(np.arange(questions), each)
    rater = drawn.ravel()
    kind = np.array(them.kinds)[rater]
    yes = _answers(them, question, rater, kind, rng)
    usual = rng.lognormal(np.log(MEDIAN_REACTION_MS), REACTION_SIGMA, len(rater))
    fast = rng.integers(*FAST_MS, len(rater))
    reaction = np.where(kind == "fast", fast, usual).astype(np.int64)
    return Ratings(question, rater, yes, reaction, _times(rater, kind))


def _answers(
    them: Crowd,
    question: Whole,
    rater: Whole,
    kind: npt.NDArray[np.str_],
    rng: np.random.Generator,
) -> npt.NDArray[np.bool_]:
    of = int(question.max(initial=-1)) + 1
    truth, clique = rng.random(of) < POSITIVE_SHARE, rng.random(of) < 1 / 2
    chance = np.where(rng.random(of) < AMBIGUOUS_SHARE, 1 / 2, 1.0)
    right = rng.random(len(rater)) < np.where(chance[question] < 1, 1 / 2, them.skills[rater])
    honest = np.where(right, truth[question], ~truth[question])
    told = {
        "random": rng.random(len(rater)) < 1 / 2,
        "positive": np.ones(len(rater), dtype=np.bool_),
        "contrarian": ~truth[question],
        "clique": clique[question],
    }
    return np.select([kind == name for name in told], list(told.values()), honest)


def _times(rater: Whole, kind: npt.NDArray[np.str_]) -> Whole:
    """Each rater answers one question after the other."""
    order = np.argsort(rater, kind="stable")
    start = np.searchsorted(rater[order], rater[order])
    place = np.empty_like(rater)
    place[order] = np.arange(len(rater)) - start
    return place * np.where(kind == "flood", FLOOD_SECONDS, SECONDS_BETWEEN)
