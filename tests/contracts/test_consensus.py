"""Laws of every rule of consensus: a new file in the folder is tested unasked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.avro.contracts import contract
from processor.feedback import Outcome, Question, known, questions, read, served
from processor.feedback.consensus import weighted
from processor.feedback.consensus.base import ConsensusRule
from processor.feedback.question import CONSENSUS_RULES
from processor.loops import LoopConfig

T0 = datetime(2024, 3, 1, tzinfo=UTC)
VALUES = ("yes", "no", "perhaps")
KINDS = ("EXPERT", "CROWD", "UNKNOWN")
TOLD: Mapping[str, Mapping[str, Any]] = {
    "weighted": {"raters": {"r1": 2.5}, "kinds": {"EXPERT": 3, "CROWD": 0.1}, "by_confidence": True}
}
"""What a rule is tried with, besides nothing."""

POLLS = [rule for rule in CONSENSUS_RULES if rule.weight is not None]
every_rule = pytest.mark.parametrize("rule", list(CONSENSUS_RULES), ids=lambda rule: rule.name)
Said = dict[str, Any]
said = st.fixed_dictionaries(
    {
        "rater_id": st.sampled_from([None, "r1", "r2", "r3"]),
        "rater_kind": st.sampled_from(KINDS),
        "rater_confidence": st.sampled_from([None, 0.3, 1.0]),
        "value_str": st.sampled_from(VALUES),
        "minute": st.integers(0, 3),
    }
)


def asked(rule: ConsensusRule, **told: Any) -> Question:  # noqa: ANN401  # any key
    outcome = {"metric": "m", "signal": "label", "window": "1h", "positive": "yes"}
    consensus = {"rule": rule.name, **TOLD.get(rule.name, {}), **told}
    loop = {"loop": "l", "model": "bot", "outcome": {**outcome, "consensus": consensus}}
    return questions(LoopConfig.model_validate(loop))[0]


def outcome(events: list[Said], question: Question) -> Outcome | None:
    output = {"inference_id": "i", "event_time": T0, "role": "PRIMARY", "status": "OK"}
    one = served({**output, "model_name": "bot", "model_version": "1"}, question)
    assert one is not None
    answers = [a for n, each in enumerate(events) for a in read(event(n, each), question)]
    return known([one], answers, question).get("i")


def event(number: int, told: Said) -> Said:
    base = {"event_id": f"e{number}", "metric": "m", "kind": "LABEL", "level": "INFERENCE"}
    at = T0 + told.get("minute", 0) * timedelta(minutes=1)
    return {**base, "event_time": at, "inference_id": "i", **told}


@every_rule
@given(events=st.lists(said, min_size=1, max_size=8), value=st.sampled_from(VALUES))
def test_what_all_say_is_known(rule: ConsensusRule, events: list[Said], value: str) -> None:
    found = outcome([{**each, "value_str": value} for each in events], asked(rule))
    assert found is not None
    assert found.value == value


@every_rule
@given(events=st.lists(said, min_size=1, max_size=8))
def test_what_wins_was_said_and_a_tie_has_no_value(rule: ConsensusRule, events: list[Said]) -> None:
    found = outcome(events, asked(rule))
    assert found is not None
    if found.state == "TIED":
        assert (found.value, found.reward) == (None, None)
    else:
        assert found.value in {each["value_str"] for each in events}


@every_rule
@given(events=st.lists(said, max_size=8), seed=st.integers())
def test_the_order_of_arrival_decides_nothing_between_raters(
    rule: ConsensusRule, events: list[Said], seed: int
) -> None:
    spaced = [{**each, "minute": number} for number, each in enumerate(events)]
    shuffled = Random(seed).sample(spaced, len(spaced))
    named = outcome(spaced, asked(rule)), outcome(shuffled, asked(rule))
    assert named[0] == named[1]


@every_rule
@given(events=st.lists(said, min_size=1, max_size=8))
def test_everything_taken_back_is_retracted(rule: ConsensusRule, events: list[Said]) -> None:
    back = [
        {**each, "op": "RETRACT", "supersedes": f"e{number}", "minute": 10}
        for number, each in enumerate(events)
    ]
    found = outcome([*events, *back], asked(rule))
    assert found is not None
    assert (found.state, found.value) == ("RETRACTED", None)


def test_the_kinds_of_raters_are_those_of_the_contract() -> None:
    (field,) = (f for f in contract("FeedbackEvent").schema["fields"] if f["name"] == "rater_kind")
    assert list(get_args(weighted.Kind)) == field["type"]["symbols"]


@pytest.mark.parametrize("rule", POLLS, ids=lambda rule: rule.name)
def test_a_tie_stays_unless_the_rule_is_told_otherwise(rule: ConsensusRule) -> None:
    votes = [{"rater_id": "a", "value_str": "yes"}, {"rater_id": "b", "value_str": "no"}]
    wanted = {None: "TIED", "positive": "POSITIVE", "negative": "NEGATIVE", "last": "NEGATIVE"}
    for tie, state in wanted.items():
        found = outcome(votes, asked(rule, tie=tie))
        assert found is not None
        assert found.state == state
