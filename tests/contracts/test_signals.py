"""Laws of every signal: a new file in the folder is tested unasked."""

from __future__ import annotations

import math
import subprocess
import sys
from random import Random
from typing import Any

import pytest

from processor.checks import check
from processor.feedback import question_of, read
from processor.feedback.question import SIGNALS
from processor.feedback.signals.base import LABEL, NUMBER, Signal
from processor.loops import LoopConfig
from processor.terms.plain import Plain
from tests.answers import METRIC, RECORDS, Event, event, fields, symbols

EVENTS = 300
SILENT_KINDS = {"UNKNOWN", "COMMENT"}  # what they say is for people to read
every_signal = pytest.mark.parametrize("signal", list(SIGNALS), ids=lambda signal: signal.name)


def loop(signal: Signal, **told: Any) -> LoopConfig:  # noqa: ANN401  # any key
    outcome = {"metric": METRIC, "signal": signal.name, "window": "1h", **told}
    return LoopConfig.model_validate({"loop": "l", "model": "m", "outcome": outcome})


def events_of(signal: Signal, seed: int = 1) -> list[Event]:
    """Events that the signal could read, each naming an inference."""
    rng, told = Random(seed), {"metric": METRIC, "inference_id": "i1"}
    if signal.kind is not None:
        told |= {"kind": signal.kind, "level": "INFERENCE"}
    return [event(rng, signal.source, **told) for _ in range(EVENTS)]


class Strict(dict[str, Any]):
    """An event that has the fields of its contract and no other."""

    def get(self, key: str, default: object = None) -> Any:  # noqa: ANN401  # as a mapping has it
        assert key in self, f"no contract has {key}"
        return super().get(key, default)


@every_signal
def test_reads_a_kind_and_fields_that_the_contract_has(signal: Signal) -> None:
    assert signal.kind is None or signal.kind in symbols("FeedbackEvent", "kind")
    assert set(fields(RECORDS[signal.source])) >= {"metric", "op", "event_id"}
    for each in events_of(signal):
        for said in signal.said:
            said.value(Plain(Strict(each)))
            said.target(Plain(Strict(each)))


def test_every_kind_that_says_something_is_read() -> None:
    read_kinds = {signal.kind for signal in SIGNALS}
    assert read_kinds - {None} == {*symbols("FeedbackEvent", "kind")} - SILENT_KINDS


@every_signal
def test_something_can_be_said_and_something_cannot(signal: Signal) -> None:
    said = [
        bool(read(each, question_of(loop(signal), loop(signal).outcome)))
        for each in events_of(signal)
        if each["op"] != "RETRACT"
    ]
    assert any(said)
    empty = Plain(Strict(dict.fromkeys(fields(RECORDS[signal.source]))))
    if signal.name not in ("click", "flag"):  # that they happened is what they say
        assert all(each.value(empty) is None for each in signal.said)


@every_signal
def test_what_it_becomes_is_what_it_says(signal: Signal) -> None:
    asked = question_of(loop(signal), loop(signal).outcome)
    answers = [a for each in events_of(signal) for a in read(each, asked) if a.op != "RETRACT"]
    assert answers
    for answer in answers:
        assert isinstance(answer.value, str)
        assert (answer.reward is not None) == (signal.becomes == NUMBER)
        assert answer.reward is None or math.isfinite(answer.reward)
    assert (asked.rule.positive is not None) == (signal.becomes == LABEL)


@every_signal
def test_an_event_of_another_kind_metric_or_level_says_nothing(signal: Signal) -> None:
    asked = question_of(loop(signal), loop(signal).outcome)
    for each in events_of(signal):
        assert not read(each | {"metric": "another"}, asked)
        if signal.kind is not None:
            assert not read(each | {"kind": "COMMENT"}, asked)
            assert not read(each | {"level": "SESSION"}, asked)


@every_signal
def test_a_retraction_needs_no_value(signal: Signal) -> None:
    asked = question_of(loop(signal), loop(signal).outcome)
    pair = {"preference": {"a_inference_id": "i1", "b_inference_id": "i2", "outcome": "UNKNOWN"}}
    for each in events_of(signal)[:20]:
        bare = {**each, **pair, "op": "RETRACT", "supersedes": "e", "value_num": None}
        assert read(bare, asked)


@every_signal
def test_an_event_is_left_as_it_was(signal: Signal) -> None:
    asked = question_of(loop(signal), loop(signal).outcome)
    for one, same in zip(events_of(signal), events_of(signal), strict=True):
        first = read(one, asked)
        assert repr(one) == repr(same)
        assert repr(read(one, asked)) == repr(first)


@every_signal
def test_a_number_becomes_a_label_by_its_threshold(signal: Signal) -> None:
    if signal.becomes != NUMBER:
        return
    told = loop(signal, threshold=0.5, positive="good", negative="bad")
    asked = question_of(told, told.outcome)
    answers = [a for each in events_of(signal) for a in read(each, asked) if a.op != "RETRACT"]
    assert {answer.value for answer in answers} == {"good", "bad"}
    for answer in answers:
        assert answer.reward is not None
        assert (answer.value == "good") == (answer.reward >= 0.5)  # the threshold


@every_signal
def test_no_number_of_a_valid_event_is_out_of_bounds(signal: Signal) -> None:
    if signal.becomes != NUMBER:
        return
    asked = question_of(loop(signal), loop(signal).outcome)
    low, high = signal.bounds
    events = [{**each, "source": "s"} for seed in range(5) for each in events_of(signal, seed)]
    valid = [each for each in events if not check(RECORDS[signal.source], filled(each))]
    rewards = [answer.reward for each in valid for answer in read(each, asked)]
    given = [reward for reward in rewards if reward is not None]
    assert given
    assert low <= min(given) <= max(given) <= high


def filled(told: Event) -> Event:
    """Without what it does not say, which has its default."""
    return {name: value for name, value in told.items() if value is not None}


WITHOUT_SPARK = """
import sys
sys.modules["pyspark"] = sys.modules["py4j"] = None
from processor.loops import LoopConfig
from processor.feedback import known, question_of, read, served
from processor.feedback.question import CREDIT_RULES, SIGNALS
assert list(SIGNALS) and list(CREDIT_RULES)
from datetime import datetime, UTC
for signal in SIGNALS:
    outcome = {"metric": "m", "signal": signal.name, "window": "1h"}
    loop = LoopConfig.model_validate({"loop": "l", "model": "m", "outcome": outcome})
    asked = question_of(loop, loop.outcome)
    at = datetime(2024, 1, 1, tzinfo=UTC)
    event = {"event_id": "e", "event_time": at, "metric": "m", "inference_id": "i",
             "kind": signal.kind, "level": "INFERENCE", "value_bool": True, "dwell_ms": 5}
    inference = {"inference_id": "i", "event_time": at, "role": "PRIMARY", "status": "OK",
                 "model_name": "m", "model_version": "1"}
    print(signal.name, known([served(inference, asked)], read(event, asked), asked))
"""


def test_one_event_is_read_where_there_is_no_spark() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SPARK], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "POSITIVE" in done.stdout
