"""The delay of answers: against `lifelines`, and against worlds whose truth was planted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from processor.measure.delay import (
    ANSWERED,
    BINS,
    PLACES,
    SEEN,
    Counts,
    Curve,
    Delays,
    delays,
    matured,
    measured,
    rate,
)
from processor.measurements import INSUFFICIENT, Measurement

GOLDEN = json.loads((Path(__file__).parent / "delay.json").read_text(encoding="utf-8"))
BLANK = Measurement("l", "m", "all", "", "all", "lookback", 0)
INCIDENCE, MATURITY, RATE = "outcome.incidence", "outcome.maturity", "outcome.rate_recent"
LEAST = 30
Numbers = npt.NDArray[np.float64]


def counts(said: Mapping[int, int] | Mapping[str, int]) -> Counts:
    found = np.zeros(PLACES, np.int64)
    for part, n in said.items():
        found[int(part)] = n
    return found


def figures(found: Delays, *, sided: bool = True) -> dict[str, Measurement]:
    return {one.metric: one for one in measured(found, BLANK, LEAST, sided=sided)}


# --- the reference --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOLDEN["cases"])
def test_curve_and_intervals_are_those_of_lifelines(name: str) -> None:
    assert GOLDEN["made by"].startswith("lifelines 0.30")
    case = GOLDEN["cases"][name]
    curve = Curve(counts(case["answered"]), counts(case["waiting"]))
    inside = 0
    for place, (survival, low, high, spread) in case["at"].items():
        part = int(place)
        assert curve.survival[part] == pytest.approx(survival, abs=1e-9)
        if 0 < survival < 1:
            inside += 1
            assert curve.spread[: part + 1].sum() == pytest.approx(spread, rel=1e-9)
            assert curve.interval(part) == pytest.approx((1 - high, 1 - low), abs=1e-9)
    assert inside >= 9


def test_at_its_ends_the_interval_says_how_little_is_known() -> None:
    """Where `lifelines` has none: Wilson's, of none or all of the inferences."""
    nobody = Curve(counts({}), counts({BINS: 40}))
    assert nobody.incidence[-1] == 0
    assert nobody.interval(BINS) == pytest.approx((0.0, 0.0876), abs=1e-4)
    everyone = Curve(counts({3: 40}), counts({}))
    assert everyone.incidence[-1] == 1
    assert everyone.interval(BINS) == pytest.approx((0.9124, 1.0), abs=1e-4)


def test_by_hand() -> None:
    """Of ten, two answered at once and two in the middle, when two others were not seen so far."""
    curve = Curve(counts({0: 2, 500: 2}), counts({400: 2, BINS: 4}))
    assert [curve.at_risk[part] for part in (0, 1, 400, 401, 500, 501)] == [10, 8, 8, 6, 6, 4]
    assert curve.incidence[499] == pytest.approx(0.2)
    assert curve.incidence[-1] == pytest.approx(1 - 0.8 * 4 / 6)
    half = 0.2 / (1 - 0.8 * 4 / 6)
    total, _ = matured(curve, counts({0: 3, 499: 5, 500: 7}))
    assert total == pytest.approx(8 * half + 7)


# --- planted truth --------------------------------------------------------------------------------


class World(NamedTuple):
    """Inferences by when they responded: a share of them is positive, most soon, some late.

    Of both kinds of answers there is a share; the recent ones may have another.
    """

    before: float
    lately: float
    negative: float
    shape: float
    closed: int
    open: int

    def truth(self, seen: Counts) -> dict[str, float]:
        come = (np.arange(PLACES) / BINS) ** self.shape
        all_closed, all_open = seen[-1], seen[:-1].sum()
        answered = (self.before * all_closed + self.lately * all_open) / seen.sum() + self.negative
        mature = (seen[:-1] * come[:-1]).sum() / all_open
        return {INCIDENCE: answered, MATURITY: mature, RATE: self.lately}

    def drawn(self, rng: np.random.Generator) -> Delays:
        age = np.concatenate([np.full(self.closed, BINS), rng.integers(0, BINS, self.open)])
        is_open = age < BINS
        kind, chance = rng.random(age.size), np.where(is_open, self.lately, self.before)
        positive, answers = kind < chance, kind < chance + self.negative
        delay = np.ceil(rng.random(age.size) ** (1 / self.shape) * BINS).astype(int)
        by_now = answers & (delay <= age)

        def told(of: Counts, those: npt.NDArray[np.bool_]) -> Counts:
            return np.bincount(of[those], minlength=PLACES)

        return Delays(
            np.bincount(age, minlength=PLACES),
            told(age, by_now),
            told(delay, by_now & is_open),
            told(delay, by_now & ~is_open),
            told(delay, by_now & ~is_open & positive),
            int((by_now & is_open & positive).sum()),
        )


RUNS = 400
WORLDS = {
    "clicks": World(0.08, 0.08, 0.0, 0.5, 2_000, 2_000),
    "thumbs": World(0.3, 0.3, 0.2, 1.0, 1_500, 1_000),
    "nearly all": World(0.85, 0.85, 0.1, 0.7, 400, 400),
    "slow": World(0.2, 0.2, 0.0, 3.0, 3_000, 1_000),
    "twice as many": World(0.1, 0.2, 0.05, 0.7, 1_500, 1_500),
    "half as many": World(0.2, 0.1, 0.0, 1.5, 1_500, 2_000),
}


class Runs(NamedTuple):
    """Of each figure: how often its interval holds the truth, and how far its values are from it.

    `off` has their mean and its standard error; the naive rate takes silence so far for negative.
    """

    covered: dict[str, float]
    off: dict[str, tuple[float, float]]
    naive: float


@pytest.fixture(scope="module", params=WORLDS)
def runs(request: pytest.FixtureRequest) -> tuple[World, Runs]:
    world, rng = WORLDS[request.param], np.random.default_rng(3)
    held: dict[str, list[bool]] = {}
    off: dict[str, list[float]] = {}
    naive = []
    for _ in range(RUNS):
        found = world.drawn(rng)
        truth = world.truth(found.seen)
        for name, one in figures(found).items():
            assert one.value is not None, one.reason
            assert one.ci_low is not None
            assert one.ci_high is not None
            held.setdefault(name, []).append(one.ci_low <= truth[name] <= one.ci_high)
            off.setdefault(name, []).append(one.value - truth[name])
        naive.append(found.positive_open / found.open.sum())
    return world, Runs(
        {name: float(np.mean(hits)) for name, hits in held.items()},
        {name: (float(np.mean(e)), float(np.std(e)) / RUNS**0.5) for name, e in off.items()},
        float(np.mean(naive)),
    )


def test_intervals_hold_the_truth_in_about_95_of_100_cases(runs: tuple[World, Runs]) -> None:
    world, told = runs
    # With another rate than before there is no one incidence: that of all is between.
    steady = world.before == world.lately
    for name in (INCIDENCE, MATURITY, RATE) if steady else (MATURITY, RATE):
        assert 0.92 <= told.covered[name] <= 0.98, (name, told.covered)


def test_the_rate_is_that_of_the_recent_ones_and_silence_so_far_is_not(
    runs: tuple[World, Runs],
) -> None:
    world, told = runs
    bias, error = told.off[RATE]
    assert abs(bias) < 3.5 * error + 0.005 * world.lately, (bias, error)
    assert told.naive < 0.9 * world.lately


def test_a_curve_of_all_would_hold_what_is_recent_to_what_was_before() -> None:
    """Why maturity is read off windows that are over: see docs/adr/0030."""
    world, rng = World(0.1, 0.3, 0.0, 1.0, 1_000, 3_000), np.random.default_rng(4)
    apart, all_in_one = [], []
    for _ in range(100):
        found = world.drawn(rng)
        of_closed = found.of_closed(found.positive_closed)
        apart.append(rate(of_closed, found.open, found.positive_open).value)
        all_in_one.append(rate(found.everyone(), found.open, found.positive_open).value)
    assert np.mean(apart) == pytest.approx(world.lately, rel=0.02)
    assert np.mean(all_in_one) < 0.92 * world.lately


# --- what is refused ------------------------------------------------------------------------------


def enough() -> Delays:
    """1000 windows that are over with 100 answers, half of them positive, and 200 half over."""
    answers, positive = counts({100: 50, 500: 50}), counts({100: 25, 500: 25})
    seen, heard = counts({500: 200, BINS: 1000}), counts({500: 10, BINS: 100})
    return Delays(seen, heard, counts({100: 10}), answers, positive, 5)


def test_what_there_is_enough_of_has_values() -> None:
    found = figures(enough())
    assert {one.verdict for one in found.values()} == {None}
    assert [(one.metric, one.window, one.n) for one in found.values()] == [
        (INCIDENCE, "lookback", 1200),
        (MATURITY, "open", 200),
        (RATE, "open", 200),
    ]
    assert found[MATURITY].value == 1.0
    assert found[RATE].value == pytest.approx(5 / 200)
    assert found[RATE].effective_n == 200


@pytest.mark.parametrize(
    ("changed", "reasons"),
    [
        (
            {"seen": counts({500: 200, BINS: 29}), "heard": counts({500: 10, BINS: 29})}
            | {"answered_closed": counts({100: 29}), "positive_closed": counts({100: 14})},
            dict.fromkeys((INCIDENCE, MATURITY, RATE), "29 inferences whose window is over"),
        ),
        (
            {"seen": counts({500: 29, BINS: 1000})},
            dict.fromkeys((MATURITY, RATE), "29 inferences were seen whose window is open"),
        ),
        (
            {"answered_closed": counts({100: 29}), "positive_closed": counts({100: 14})},
            {
                MATURITY: "29 answers in windows that are over",
                RATE: "14 positives in windows that are over",
            },
        ),
        (
            {"seen": counts({100: 50, 0: 150, BINS: 1000})},
            {RATE: "25.0 of 200 inferences count as known, fewer than 30"},
        ),
        (
            {"seen": counts({0: 200, BINS: 1000}), "heard": counts({BINS: 100})}
            | {"answered_open": counts({}), "positive_open": 0},
            {RATE: "0.0 of 200 inferences count as known, fewer than 30"},
        ),
    ],
    ids=["windows over", "windows open", "answers", "maturity", "no maturity"],
)
def test_too_few_have_no_value(changed: Mapping[str, Any], reasons: Mapping[str, str]) -> None:
    found = figures(enough()._replace(**changed))
    refused = {name: one for name, one in found.items() if one.verdict == INSUFFICIENT}
    assert {name: one.value for name, one in refused.items()} == dict.fromkeys(reasons)
    for name, reason in reasons.items():
        assert reason in str(refused[name].reason), refused[name]


def test_values_that_have_no_side_have_no_rate() -> None:
    assert set(figures(enough(), sided=False)) == {INCIDENCE, MATURITY}


def test_a_rate_is_a_share_and_of_answers_that_come_sooner_there_is_none() -> None:
    half = {"positive_closed": counts({100: 25, 900: 25}), "seen": counts({500: 60, BINS: 1000})}
    some = enough()._replace(**half, positive_open=31)
    told = figures(some)[RATE]
    assert (told.value, told.ci_high) == (1.0, 1.0)
    assert told.ci_low is not None
    assert 0.6 < told.ci_low < 0.75
    refused = figures(some._replace(positive_open=60))[RATE]
    assert (refused.value, refused.verdict) == (None, INSUFFICIENT)
    assert refused.reason == "60 are positive by now: answers come sooner than they did"


def test_rows_become_arrays_wherever_they_stand() -> None:
    rows = [
        {"by": SEEN, "is_open": True, "part": 500, "n": 200, "answered": 10, "positive": 5},
        {"by": ANSWERED, "is_open": False, "part": 100, "n": 50, "answered": 50, "positive": 25},
        {"by": ANSWERED, "is_open": True, "part": 100, "n": 10, "answered": 10, "positive": 5},
        {"by": SEEN, "is_open": False, "part": BINS, "n": 1000, "answered": 100, "positive": 50},
        {"by": ANSWERED, "is_open": False, "part": 500, "n": 50, "answered": 50, "positive": 25},
    ]
    wanted = enough()
    for order in (rows, rows[::-1]):
        for field, found in delays(order)._asdict().items():
            assert np.array_equal(found, getattr(wanted, field)), field
