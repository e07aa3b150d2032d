"""Laws of every rule of credit: a new file in the folder is tested unasked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.feedback import Served
from processor.feedback.answer import divide
from processor.feedback.credit.base import CreditRule
from processor.feedback.levels import level_of
from processor.feedback.question import CREDIT_RULES, SIGNALS, Credit, Question
from processor.feedback.rule import Rule
from processor.sections import Section

T0 = datetime(2024, 3, 1, tzinfo=UTC)
WINDOW = timedelta(days=3650)
every_rule = pytest.mark.parametrize("rule", list(CREDIT_RULES), ids=lambda rule: rule.name)
SPANS: Mapping[Any, st.SearchStrategy[timedelta]] = {
    timedelta: st.timedeltas(timedelta(microseconds=1), timedelta(days=3000))
}
lags = st.timedeltas(timedelta(0), WINDOW) | st.sampled_from([timedelta(0), WINDOW])


def params(rule: CreditRule) -> st.SearchStrategy[Section]:
    """Settings that the rule accepts; a kind of setting that is not in SPANS is added there."""
    told = {name: SPANS[field.annotation] for name, field in rule.params.model_fields.items()}
    return st.fixed_dictionaries(told).map(rule.params.model_validate)


def question(rule: CreditRule, told: Section) -> Question:
    level = level_of("session", "feedback")
    asked = Rule("m", WINDOW, timedelta(0), "true")
    return Question("m", SIGNALS["thumbs"], level, asked, "false", None, Credit(rule, told))


def outputs(found: list[timedelta]) -> list[Served]:
    return [
        Served(f"i{number}", T0 - lag, "s", (), "m", "1", None, None)
        for number, lag in enumerate(found)
    ]


@every_rule
@given(data=st.data(), found=st.lists(lags, min_size=1, max_size=30))
def test_an_answer_is_given_wholly(
    rule: CreditRule, data: st.DataObject, found: list[timedelta]
) -> None:
    shares = divide(outputs(found), T0, question(rule, data.draw(params(rule))))
    assert sum(shares.values()) == pytest.approx(1, abs=1e-9)
    assert all(0 < share <= 1 for share in shares.values())


@every_rule
@given(data=st.data(), lag=lags)
def test_one_alone_has_all_of_it(rule: CreditRule, data: st.DataObject, lag: timedelta) -> None:
    shares = divide(outputs([lag]), T0, question(rule, data.draw(params(rule))))
    assert shares == {"i0": 1.0}


@every_rule
@given(data=st.data(), found=st.lists(lags, max_size=10), seed=st.integers())
def test_the_order_in_which_they_came_decides_nothing(
    rule: CreditRule, data: st.DataObject, found: list[timedelta], seed: int
) -> None:
    asked = question(rule, data.draw(params(rule)))
    listed = outputs(found)
    shuffled = Random(seed).sample(listed, len(listed))
    assert divide(shuffled, T0, asked) == divide(listed, T0, asked)


@every_rule
@given(data=st.data(), found=st.lists(lags, max_size=10))
def test_what_came_after_the_answer_or_too_long_before_has_nothing(
    rule: CreditRule, data: st.DataObject, found: list[timedelta]
) -> None:
    asked = question(rule, data.draw(params(rule)))
    near = outputs(found)
    tick = timedelta(microseconds=1)
    far = [
        replace(each, inference_id=f"far {each.inference_id}")
        for each in outputs([-tick, WINDOW + tick])
    ]
    assert divide([*near, *far], T0, asked) == divide(near, T0, asked)


def test_none_share_what_nobody_was_there_for() -> None:
    for rule in CREDIT_RULES:
        told = rule.params.model_construct()
        assert divide([], T0, question(rule, told)) == {}
