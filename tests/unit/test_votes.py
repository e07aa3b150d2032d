"""What several raters of one output come to."""

from __future__ import annotations

from typing import Any

import pytest

from processor.errors import ConfigError
from tests.unit.asking import Event, asked, outcomes, output, said


def voted(consensus: Event | None, *votes: Event, **told: Any) -> str | None:  # noqa: ANN401  # any key
    question = asked("label", positive="yes", consensus=consensus, **told)
    events = [
        said(number, event_id=f"e{number}", kind="LABEL", **vote)
        for number, vote in enumerate(votes)
    ]
    found = outcomes([output("i")], events, question).get("i")
    return None if found is None else found.value or found.state


ANN: Event = {"rater_id": "ann", "rater_kind": "EXPERT"}
BOB: Event = {"rater_id": "bob", "rater_kind": "CROWD"}
YES, NO, BACK = {"value_str": "yes"}, {"value_str": "no"}, {"op": "RETRACT"}


@pytest.mark.parametrize(
    ("votes", "found"),
    [
        ([ANN | YES, BOB | NO], "TIED"),
        ([ANN | YES, BOB | NO, YES], "yes"),
        ([ANN | YES, BOB | NO, ANN | YES, ANN | YES], "TIED"),
        ([ANN | YES, BOB | NO, BOB | BACK], "yes"),
        ([ANN | YES, BOB | BACK | {"supersedes": "e0"}], "RETRACTED"),
        ([ANN | YES, ANN | NO | {"supersedes": "e0"}], "no"),
        ([YES, YES, NO], "yes"),
        ([ANN | BACK], "RETRACTED"),
    ],
)
def test_each_rater_has_one_vote(votes: list[Event], found: str) -> None:
    assert voted({"rule": "majority"}, *votes) == found
    assert voted({"rule": "weighted"}, *votes) == found


def test_without_a_rule_the_last_answer_wins() -> None:
    votes = [ANN | YES, YES, BOB | NO]
    assert voted(None, *votes) == voted({"rule": "last"}, *votes) == "no"
    assert voted(None, *votes, ANN | BACK) == "RETRACTED"


def test_of_three_values_two_may_tie() -> None:
    perhaps = {"value_str": "perhaps"}
    three = [ANN | NO, BOB | perhaps, {"rater_id": "eve"} | YES, NO, YES]
    assert voted({"rule": "majority"}, *three) == "TIED"
    assert voted({"rule": "majority", "tie": "negative"}, *three) == "no"
    two = [ANN | NO, BOB | perhaps]
    for tie in ("positive", "negative"):
        assert voted({"rule": "majority", "tie": tie}, *two) == "TIED"
    assert voted({"rule": "majority", "tie": "last"}, *two) == "perhaps"


def test_a_name_weighs_before_a_kind_and_confidence_times_both() -> None:
    told: Event = {"rule": "weighted", "kinds": {"EXPERT": 3, "CROWD": 1}}
    assert voted(told, ANN | YES, BOB | NO) == "yes"
    assert voted({**told, "raters": {"bob": 4}}, ANN | YES, BOB | NO) == "no"
    assert voted({**told, "raters": {"bob": 3}}, ANN | YES, BOB | NO) == "TIED"
    unsure = {"rater_confidence": 0.1}
    assert voted({**told, "by_confidence": True}, ANN | YES | unsure, BOB | NO) == "no"
    assert voted(told, ANN | YES | unsure, BOB | NO) == "yes"


def test_who_has_no_weight_is_not_heard() -> None:
    told: Event = {"rule": "weighted", "raters": {"bob": 0}}
    assert voted(told, BOB | NO) is None
    assert voted(told, BOB | NO, ANN | YES) == "yes"


def test_weights_that_come_to_the_same_tie() -> None:
    told: Event = {"rule": "weighted", "raters": {"ann": 0.1, "bob": 0.2, "eve": 0.3}}
    assert voted(told, ANN | YES, BOB | YES, {"rater_id": "eve"} | NO) == "TIED"


def test_of_the_world_the_source_is_the_rater() -> None:
    question = asked("ground_truth", positive="yes", consensus={"rule": "majority"})
    events = [
        said(number, event_id=f"e{number}", label_source=source, value_str=value)
        for number, (source, value) in enumerate([("a", "yes"), ("b", "no"), ("b", "yes")])
    ]
    assert outcomes([output("i")], events, question)["i"].value == "yes"
    assert outcomes([output("i")], events[:2], question)["i"].state == "TIED"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"consensus": {"rule": "majorty"}}, "did you mean 'majority'"),
        ({"consensus": {"rule": "last", "tie": "last"}}, "unknown key 'tie'"),
        ({"consensus": {"rule": "majority", "tie": "first"}}, "tie"),
        ({"consensus": {"rule": "weighted", "kinds": {"EXPRT": 2}}}, "kinds.EXPRT"),
        ({"consensus": {"rule": "weighted", "raters": {"a": -1}}}, "raters.a"),
        (
            {"signal": "dwell", "consensus": {"rule": "majority", "tie": "positive"}},
            "`tie: last`",
        ),
    ],
)
def test_a_consensus_that_means_nothing_is_refused(told: Event, expected: str) -> None:
    with pytest.raises(ConfigError) as refused:
        asked(**{"signal": "label", **told})
    assert expected in str(refused.value)
