"""What a loop asks, and what it may not."""

from __future__ import annotations

import pytest

from processor.errors import ConfigError
from processor.feedback import questions
from tests.unit.asking import Event, loop


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"signal": "thumb"}, "did you mean 'thumbs'"),
        ({"signal": "thumbs", "level": "sessions"}, "did you mean 'session'"),
        ({"signal": "thumbs", "level": "request"}, "feedback has no level 'request'"),
        ({"signal": "thumbs", "from": "ground_truth"}, "from: feedback"),
        ({}, "signal: NAME"),
        ({"signal": "thumbs", "threshold": 1}, "leave `threshold` out"),
        ({"signal": "rating", "threshold": 7}, "no value of 'rating' reaches the threshold 7"),
        ({"signal": "rating", "threshold": -1}, "every value of 'rating' reaches the threshold -1"),
        (
            {"signal": "rating", "scale": [1, 5], "threshold": 4},
            "write a `threshold` above 0, and up to 1",
        ),
        ({"signal": "preference", "threshold": 0}, "every value of 'preference' reaches"),
        ({"signal": "position", "threshold": 2}, "they go from 0 to 1"),
        ({"signal": "dwell", "threshold": 0}, "write a `threshold` above 0, and"),
        ({"signal": "reward", "scale": [1, 5]}, "leave `scale` out, or write `signal: rating`"),
        ({"signal": "dwell", "default": "negative"}, "`threshold`"),
        ({"signal": "ranking", "default": "negative"}, "leave `default` out"),
        ({"signal": "thumbs", "level": "session"}, "first, last, time_decay, uniform"),
        ({"signal": "thumbs", "credit": {"rule": "last"}}, "leave `credit` out"),
        ({"signal": "thumbs", "session_gap": "1h"}, "leave `session_gap` out, or write `level:"),
        (
            {"signal": "thumbs", "level": "session", "session_gap": "30m"},
            "needs a rule of credit",
        ),
        (
            {"signal": "thumbs", "level": "session", "credit": {"rule": "lst"}},
            "did you mean 'last'",
        ),
        (
            {"signal": "thumbs", "level": "session", "credit": {"rule": "last", "half_life": "1d"}},
            "unknown key 'half_life': it takes none",
        ),
        (
            {"signal": "thumbs", "consensus": {"rule": "last", "tie": "last"}},
            "unknown key 'tie': it takes none",
        ),
        (
            {"signal": "thumbs", "level": "session", "credit": {"rule": "time_decay"}},
            "half_life",
        ),
        (
            {"signal": "preference", "level": "session", "credit": {"rule": "last"}},
            "names its inferences itself",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_with_what_to_write(
    told: Event, expected: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        questions(loop(outcome={"metric": "m", "window": "1h", **told}))
    assert expected in str(refused.value)


@pytest.mark.parametrize(
    ("signal", "threshold"),
    [("rating", 1), ("rating", 1e-9), ("position", 1), ("dwell", 86_400), ("reward", -3)],
)
def test_a_threshold_that_some_reach_and_some_do_not_is_one(signal: str, threshold: float) -> None:
    outcome = {"metric": "m", "window": "1h", "signal": signal, "threshold": threshold}
    assert questions(loop(outcome=outcome))[0].threshold == threshold


def test_a_loop_without_signals_means_what_it_did() -> None:
    for source, signal in (("ground_truth", "ground_truth"), ("feedback", "label")):
        (found,) = questions(loop(outcome={"metric": "m", "from": source, "window": "1h"}))
        assert (found.signal.name, found.level.name, found.credit) == (signal, "inference", None)


def test_a_loop_asks_for_several_metrics_each_once() -> None:
    main = {"metric": "m", "signal": "thumbs", "window": "1h"}
    more = [{"metric": "n", "signal": "dwell", "window": "2h"}]
    assert [q.rule.metric for q in questions(loop(outcome=main, outcomes=more))] == ["m", "n"]
    with pytest.raises(ConfigError, match="asks for 'm' twice"):
        questions(loop(outcome=main, outcomes=[main]))
