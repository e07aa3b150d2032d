"""The stated distribution of answers is the one that is drawn."""

from __future__ import annotations

from math import erf, log, sqrt
from pathlib import Path

import numpy as np
import pytest
import yaml

from processor.resources import resource
from processor.sections import parse_duration
from processor.simulate import answers
from processor.simulate.answers import DAY, WINDOW, Answers, draw

N = 200_000
RESPONDED = np.full(N, 1_500_000_000_000_000)


@pytest.fixture(scope="module")
def drawn() -> Answers:
    return draw(RESPONDED, np.random.default_rng(7))


def test_the_window_is_the_demo_loops() -> None:
    loop = yaml.safe_load(Path(resource("conf", "loops", "employment.yaml")).read_text())
    window = parse_duration(loop["outcome"]["window"])
    assert window == parse_duration(f"{WINDOW // DAY}d")


def test_kinds_have_the_stated_shares(drawn: Answers) -> None:
    tail = 0.5 - erf(log(14 / answers.MEDIAN_DELAY_DAYS) / answers.DELAY_SIGMA / sqrt(2)) / 2
    assert 0.06 < tail < 0.08
    usual = (1 - answers.NEVER_SHARE) * (1 - answers.LATE_REPORT_SHARE)
    expected = {
        answers.NEVER: answers.NEVER_SHARE,
        answers.LATE_REPORT: (1 - answers.NEVER_SHARE) * answers.LATE_REPORT_SHARE,
        answers.AFTER_WINDOW: usual * tail,
        answers.IN_WINDOW: usual * (1 - tail),
    }
    for kind, share in expected.items():
        assert np.mean(drawn.kind == kind) == pytest.approx(share, abs=4 * sqrt(share / N)), kind
    assert set(drawn.kind) == set(expected)


def test_the_usual_delay_has_the_stated_median(drawn: Answers) -> None:
    usual = np.isin(drawn.kind, (answers.IN_WINDOW, answers.AFTER_WINDOW))
    days = (drawn.happened_at - RESPONDED)[usual] / DAY
    assert np.median(days) == pytest.approx(answers.MEDIAN_DELAY_DAYS, rel=0.02)


def test_each_kind_is_what_it_says(drawn: Answers) -> None:
    delay = drawn.happened_at - RESPONDED
    reporting = drawn.known_at - drawn.happened_at
    assert (delay >= 0).all()
    assert (reporting >= 0).all()
    assert (delay[drawn.kind == answers.IN_WINDOW] <= WINDOW).all()
    assert (delay[drawn.kind == answers.AFTER_WINDOW] > WINDOW).all()
    late = drawn.kind == answers.LATE_REPORT
    assert (delay[late] <= WINDOW).all()
    assert (reporting[late] >= 60 * DAY).all()
    assert (reporting[late] < 200 * DAY).all()


def test_the_odd_ones_follow_their_first_report(drawn: Answers) -> None:
    assert np.mean(drawn.resent) == pytest.approx(0.95 * answers.RESENT_SHARE, rel=0.2)
    assert not drawn.resent[drawn.kind == answers.NEVER].any()
    assert (drawn.resent_at > drawn.known_at).all()
    assert drawn.corrected.any()
    assert (drawn.kind[drawn.corrected] == answers.IN_WINDOW).all()
    assert (drawn.corrected_at > drawn.known_at).all()
    assert not (drawn.resent & drawn.corrected).any()
