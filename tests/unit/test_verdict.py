"""Verdicts follow planted truth, and nothing that is not shown is passed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.evaluate.paired import PairedCounts
from processor.evaluate.verdict import DIFFERENCE, HOLD, PROMOTE, REJECT, VERDICT, verdict
from processor.loops import LoopConfig
from processor.measurements import INSUFFICIENT, Measurement

GATES = {"min_pairs": 1000, "margin": 0.02, "slice_margin": 0.05}


def loop(gates: dict[str, Any] | None) -> LoopConfig:
    return LoopConfig.model_validate(
        {
            "loop": "employment",
            "model": "classifier",
            "outcome": {"metric": "employed", "from": "ground_truth", "window": "14d"},
            "min_slice_rows": 30,
            "evaluation": gates,
        }
    )


LOOP = loop(GATES)
BETTER = PairedCounts(3000, 100, 200, 700)
EQUAL = PairedCounts(3000, 150, 150, 700)
WORSE = PairedCounts(3000, 400, 100, 500)


def judged(counts: dict[str, PairedCounts], of: LoopConfig = LOOP) -> Measurement:
    found = verdict(of, "1", "2", counts)
    last = found[-1]
    assert (last.metric, last.slice, last.window) == (VERDICT, "all", "all")
    assert [one.slice for one in found[:-1]] == sorted(counts)
    assert {one.metric for one in found[:-1]} <= {DIFFERENCE}
    assert {(m.loop, m.model_name, m.model_version, m.reference) for m in found} == {
        ("employment", "classifier", "2", "1")
    }
    assert last.reason
    return last


@pytest.mark.parametrize(
    ("counts", "wanted", "words"),
    [
        ({"all": BETTER}, PROMOTE, "better"),
        ({"all": EQUAL}, HOLD, "not shown to be better"),
        ({"all": WORSE}, REJECT, "overall -0.0750"),
        ({"all": PairedCounts(800, 60, 50, 90)}, HOLD, "may still be worse by 0.02"),
        ({"all": BETTER, "sex=1": PairedCounts(300, 80, 10, 10)}, REJECT, "sex=1 -0.1750"),
        ({"all": BETTER, "sex=1": PairedCounts(30, 5, 2, 3)}, HOLD, "sex=1 -0.0750"),
        ({"all": BETTER, "sex=1": PairedCounts(300, 14, 10, 76)}, PROMOTE, "no slice fails"),
        ({"all": BETTER, "race=4": PairedCounts(0, 29, 0, 0)}, PROMOTE, "no slice fails"),
        ({"all": BETTER, "race=4": PairedCounts(0, 30, 0, 0)}, REJECT, "race=4"),
    ],
)
def test_each_way_to_a_verdict(counts: dict[str, PairedCounts], wanted: str, words: str) -> None:
    found = judged(counts)
    assert found.verdict == wanted, found.reason
    assert found.reason is not None
    assert words in found.reason
    overall = counts["all"]
    assert (found.value, found.n, found.p) == (overall.difference, overall.n, overall.p)


@pytest.mark.parametrize(
    ("of", "counts", "words"),
    [
        (loop(None), {"all": BETTER}, "no evaluation section"),
        (LOOP, {}, "0 rows, fewer than 1000"),
        (LOOP, {"sex=1": BETTER}, "0 rows, fewer than 1000"),
        (LOOP, {"all": PairedCounts(0, 0, 999, 0)}, "999 rows, fewer than 1000"),
        (LOOP, {"all": PairedCounts(0, 999, 0, 0)}, "999 rows, fewer than 1000"),
        (loop({**GATES, "min_pairs": 1}), {"all": PairedCounts(0, 0, 29, 0)}, "fewer than 30"),
    ],
)
def test_what_cannot_be_judged_is_insufficient(
    of: LoopConfig, counts: dict[str, PairedCounts], words: str
) -> None:
    found = judged(counts, of)
    assert found.verdict == INSUFFICIENT
    assert found.reason is not None
    assert words in found.reason
    assert (found.value, found.ci_low, found.ci_high, found.p) == (None, None, None, None)


def test_enough_pairs_are_enough() -> None:
    assert judged({"all": PairedCounts(0, 0, 1000, 0)}).verdict == PROMOTE


def test_differences_are_given_by_slice_with_interval_and_p() -> None:
    counts = {
        "all": BETTER,
        "sex=1": PairedCounts(300, 10, 30, 60),
        "race=4": PairedCounts(9, 0, 0, 0),
    }
    for of in (LOOP, loop(None)):
        found = {m.slice: m for m in verdict(of, "1", "2", counts) if m.metric == DIFFERENCE}
        for name in ("all", "sex=1"):
            one = found[name]
            assert (one.value, one.p) == (counts[name].difference, counts[name].p)
            assert (one.ci_low, one.ci_high) == counts[name].interval(0.95)
            assert (one.n, one.window, one.verdict) == (counts[name].n, "all", None)
        few = found["race=4"]
        assert (few.value, few.n, few.verdict) == (None, 9, INSUFFICIENT)
        assert few.reason == "9 rows, fewer than 30"


def test_alpha_decides_how_sure_is_sure() -> None:
    doubtful = PairedCounts(3000, 100, 131, 769)  # p 0.048
    assert judged({"all": doubtful}).verdict == PROMOTE
    strict = judged({"all": doubtful}, loop({**GATES, "alpha": 0.01}))
    assert strict.verdict == HOLD
    assert (strict.ci_low, strict.ci_high) == doubtful.interval(0.99)


cells = st.integers(0, 3_000)
tables = st.builds(PairedCounts, cells, cells, cells, cells)


@given(st.dictionaries(st.sampled_from(["all", "sex=1", "sex=2"]), tables))
def test_a_verdict_is_never_kinder_than_the_gates(counts: dict[str, PairedCounts]) -> None:
    found = judged(counts)
    if found.verdict == PROMOTE:
        assert counts["all"].n >= 1000
        assert counts["all"].difference > 0
        assert all(c.difference >= -0.05 for c in counts.values() if c.n >= 30)
    if found.verdict == REJECT:
        assert any(c.n >= 30 and c.difference < -0.02 for c in counts.values())


def test_a_candidate_as_good_as_the_baseline_is_neither_promoted_nor_rejected_by_chance() -> None:
    """Ten small slices that differ by chance alone; alpha is 0.05 and its worse half rejects."""
    rng = np.random.default_rng(6)
    found = []
    for _ in range(300):
        parts = rng.multinomial(1, (0.8, 0.05, 0.05, 0.1), size=(10, 200)).sum(axis=1)
        counts = {f"race={i}": PairedCounts(*map(int, row)) for i, row in enumerate(parts)}
        counts["all"] = PairedCounts(*map(int, parts.sum(axis=0)))
        found.append(judged(counts).verdict)
    assert found.count(PROMOTE) / 300 < 0.05
    assert found.count(REJECT) / 300 < 0.02


def test_planted_harm_to_one_slice_is_rejected() -> None:
    rng = np.random.default_rng(7)
    for _ in range(50):
        whole = PairedCounts(*map(int, rng.multinomial(8_000, (0.78, 0.04, 0.08, 0.1))))
        harmed = PairedCounts(*map(int, rng.multinomial(600, (0.65, 0.2, 0.05, 0.1))))
        assert judged({"all": whole, "sex=2": harmed}).verdict == REJECT
        assert judged({"all": whole}).verdict == PROMOTE
