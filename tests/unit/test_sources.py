"""Sources that misbehave: bets that pay nobody who is honest, and bots among honest raters."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from itertools import product
from math import comb, exp, inf, log
from pathlib import Path
from random import Random

import numpy as np
import pytest

from processor.loops import SourcesConfig, TrustConfig
from processor.measure.misbehaving import MISBEHAVING, TESTS, e_bh, judged
from processor.measure.sources.base import STAKES, Tally, log_mean, too_often
from processor.simulate.raters import BOTS, HONEST, Crowd, Ratings, crowd, rated
from tests.tallies import compare, tallies, tally

TOLD = SourcesConfig()
EXACT = SourcesConfig(tolerance=1.0)
GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "validation.md"
WORLDS, HONEST_RATERS, BOTS_EACH = 5, 100, 2
QUESTIONS, RATERS_EACH = 8000, 5


# --- e-values -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "tries"), [(0.05, 1), (0.05, 30), (0.5, 12)])
def test_a_bet_on_what_is_rare_is_worth_1_on_average_and_less_where_it_is_rarer(
    share: float, tries: int
) -> None:
    def worth(truth: float) -> float:
        return sum(
            comb(tries, hits)
            * truth**hits
            * (1 - truth) ** (tries - hits)
            * exp(too_often(hits, tries, share))
            for hits in range(tries + 1)
        )

    assert worth(share) == pytest.approx(1, rel=1e-9)
    assert worth(share / 2) < 1


@pytest.mark.parametrize("values", ["ab", "abc"])
@pytest.mark.parametrize("raters", [2, 3, 4, 5, 6])
def test_a_bet_on_dissent_is_worth_1_whatever_was_answered_ties_among_them(
    values: str, raters: int
) -> None:
    """Whoever of those who answered is drawn: every unit there is, one after the other."""
    for answers in product(values, repeat=raters):
        unit = {str(number): value for number, value in enumerate(answers)}
        found = [tally([row], EXACT).bets for row in compare(unit).values()]
        for place in range(len(STAKES)):
            mean = sum(exp(bets[place] / 1e9) for bets in found) / raters
            assert mean == pytest.approx(1, abs=1e-8)
        alike = [exp(tally([row], EXACT).sameness / 1e9) for row in compare(unit).values()]
        drawn = Counter(answers)
        for value, count in drawn.items():  # a bet on one value: lost by who says another
            paid = [pay for pay, said in zip(alike, answers, strict=True) if said == value]
            assert sum(paid) / raters == pytest.approx(1, abs=1e-8), count


def test_nobody_is_found_by_no_evidence() -> None:
    assert [test.log_e(Tally(), TOLD) for test in TESTS] == [pytest.approx(0)] * len(list(TESTS))
    assert judged({}, TOLD) == {}


def test_one_answer_that_differs_ends_monotony_for_good() -> None:
    monotony = TESTS["monotony"]
    assert monotony.log_e(Tally(compared=9, only="yes", sameness=9 * 10**9, most=10**9), TOLD) == 8
    assert monotony.log_e(Tally(compared=9, only=None, sameness=9 * 10**9), TOLD) == -inf


def test_e_bh_is_its_definition() -> None:
    rng = Random(1)
    for _ in range(500):
        values = [rng.choice((0.0, 1.0, 20.0, 40.0, rng.uniform(0, 300))) for _ in range(9)]
        many = len(values)
        best = max(
            (k for k in range(1, many + 1) if sorted(values)[-k] >= many / (0.05 * k)), default=0
        )
        wanted = [value >= sorted(values)[-best] for value in values] if best else [False] * many
        assert e_bh([log(v) if v else -inf for v in values], 0.05) == wanted


def test_the_mean_of_logarithms_is_that_of_their_numbers() -> None:
    assert exp(log_mean([log(1.0), log(3.0), -inf, -inf])) == pytest.approx(1)
    assert log_mean([1e6, -1e6]) == pytest.approx(1e6 - log(2))
    assert log_mean([-inf, -inf]) == -inf


def test_a_weight_needs_what_it_weighs() -> None:
    with pytest.raises(ValueError, match="downweight"):
        TrustConfig.model_validate({"misbehaving": "exclude", "weight": 0.5})


# --- planted bots ---------------------------------------------------------------------------------


@cache
def found() -> dict[str, tuple[int, int]]:
    """Of each kind of source, how many were called misbehaving, and how many there were."""
    return of_crowds(WORLDS, QUESTIONS)


def of_crowds(worlds: int, questions: int) -> dict[str, tuple[int, int]]:
    called, there = Counter[str](), Counter[str]()
    for world in range(worlds):
        rng = np.random.default_rng(world)
        them = crowd(HONEST_RATERS, BOTS_EACH, rng)
        verdicts = judged(tallies(them, rated(them, questions, RATERS_EACH, rng), TOLD), TOLD)
        for name, each in verdicts.items():
            kind = name.split(":")[1]
            there[kind] += 1
            called[kind] += each.verdict == MISBEHAVING
    return {kind: (called[kind], there[kind]) for kind in (HONEST, *BOTS)}


def test_bots_are_found_and_honest_raters_are_not() -> None:
    honest, of = found()[HONEST]
    caught = sum(found()[kind][0] for kind in BOTS)
    planted = sum(found()[kind][1] for kind in BOTS)
    assert honest / of <= TOLD.alpha
    assert caught / (caught + honest) >= 1 - TOLD.alpha
    assert caught / planted >= 0.9
    for kind in BOTS:
        assert found()[kind][0] >= 0.7 * found()[kind][1], kind


def test_the_guide_says_what_was_found() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \|.*\| (\d+) of (\d+) \|$", GUIDE.read_text("utf-8"), re.MULTILINE
    )
    assert {kind: (int(called), int(of)) for kind, called, of in rows} == found()


def test_the_guide_says_how_many_are_found_by_half_of_the_answers() -> None:
    said = re.search(
        r"of ten crowds' (\d+) bots of a kind (\d+) random clickers and (\d+) of a clique are"
        r" found, and no honest rater",
        GUIDE.read_text("utf-8"),
    )
    assert said is not None
    each, *caught = map(int, said.groups())
    half = of_crowds(10, QUESTIONS // 2)
    assert [half["random"], half["clique"]] == [(n, each) for n in caught]
    assert half[HONEST] == (0, 10 * HONEST_RATERS)


def test_whoever_looks_after_every_batch_calls_no_more_honest_raters() -> None:
    """Also where half of all questions are ties, raters are few, and nobody is a bot."""
    ever, of = 0, 0
    for world in range(12):
        rng = np.random.default_rng(100 + world)
        them = Crowd((HONEST,) * 20, rng.uniform(0.55, 0.75, 20))
        called: set[str] = set()
        whole = rated(them, 600, 4, rng)
        for upto in range(60, 601, 60):
            part = Ratings._make(each[whole.question < upto] for each in whole)
            verdicts = judged(tallies(them, part, EXACT), EXACT)
            called |= {name for name, each in verdicts.items() if each.verdict == MISBEHAVING}
        ever, of = ever + len(called), of + len(them.kinds)
    assert ever / of <= EXACT.alpha


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("fast", "reaction"),
        ("flood", "rate"),
        ("positive", "monotony"),
        ("contrarian", "agreement"),
        ("random", "agreement"),
    ],
)
def test_each_kind_is_given_away_by_its_own_test(kind: str, reason: str) -> None:
    rng = np.random.default_rng(1)
    them = Crowd((HONEST,) * 40 + (kind,), rng.uniform(0.85, 0.97, 41))
    verdicts = judged(tallies(them, rated(them, 3000, 5, rng), TOLD), TOLD)
    (bot,) = [each for name, each in verdicts.items() if kind in name]
    assert reason in bot.reasons
