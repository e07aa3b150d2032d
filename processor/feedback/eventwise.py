"""What is known of inferences, from their events so far, one at a time. No Spark.

The same rules as the ledger's (`processor.feedback.outcomes`): for a stream or a dashboard that
has to agree with the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from processor.feedback.answer import NO_REQUESTS, Answer, Requests, Served, attribute
from processor.feedback.poll import polled, voices
from processor.feedback.question import Question
from processor.feedback.rule import (
    CREATE,
    DEFAULT,
    LATE,
    NEGATIVE,
    ON_TIME,
    OUTSIDE,
    POSITIVE,
    RETRACT,
    RETRACTED,
    REWARDS,
    TIED,
    VALUE,
    WHOLE,
    Rule,
)


@dataclass(frozen=True)
class Outcome:
    """What is known of an inference, and which model, version and variant it was that served.

    `solicit_prob` is the probability with which the answer that counts was asked for; None where
    it came unasked, or nobody says.
    """

    inference_id: str
    model_name: str
    model_version: str
    deployment_id: str | None
    variant: str | None
    state: str
    timing: str
    value: str | None
    reward: float | None
    credit: float
    solicit_prob: float | None
    answered_at: datetime | None


def known(
    inferences: Iterable[Served],
    answers: Iterable[Answer],
    question: Question,
    mark: datetime | None = None,
    requests: Requests = NO_REQUESTS,
) -> dict[str, Outcome]:
    """The outcome of each inference of which something is known.

    Both are in order of arrival; what was sent twice counts once. `mark` is the watermark: when
    it has passed the end of a window, silence means what the loop says. `requests` are those for
    labels that were published so far.
    """
    seen: dict[str, Served] = {}
    for one in inferences:
        seen.setdefault(one.inference_id, one)
    given = attribute(answers, seen.values(), question, requests)
    found = (outcome(one, given.get(name, ()), question.rule, mark) for name, one in seen.items())
    return {one.inference_id: one for one in found if one is not None}


def outcome(
    one: Served, answers: Sequence[Answer], rule: Rule, mark: datetime | None = None
) -> Outcome | None:
    """What an inference's answers, in order of arrival, make of it; None: not known.

    Only answers on time count: see `timing`.
    """
    on_time = [each for each in once(answers) if timing(each, one, rule) == ON_TIME]
    answer = counting(on_time, rule)
    if answer is not None:
        return _said(one, answer, rule)
    if rule.silence is not None and mark is not None and mark >= one.response_time + rule.patience:
        worth = REWARDS[NEGATIVE]
        return _outcome(one, NEGATIVE, DEFAULT, rule.silence, worth, None)
    return None


def once(answers: Iterable[Answer]) -> list[Answer]:
    """Each event id once, as it first arrived."""
    first: dict[str, Answer] = {}
    for answer in answers:
        first.setdefault(answer.event_id, answer)
    return list(first.values())


def timing(answer: Answer, one: Served, rule: Rule) -> str:
    """Whether an answer happened in the window, and arrived before it was closed."""
    lag = answer.event_time - one.response_time
    if not timedelta(0) <= lag <= rule.window:
        return OUTSIDE
    closes = one.response_time + rule.patience
    return LATE if answer.before is not None and answer.before >= closes else ON_TIME


def counting(answers: Sequence[Answer], rule: Rule) -> Answer | None:
    """The answer that counts: the last of those that stand, or what a poll of them comes to."""
    stand = standing(apart(answers, rule.near))
    if rule.poll is not None:
        return polled(stand, rule)
    return stand[-1] if stand else None


def heeded(answers: Sequence[Answer], rule: Rule) -> list[Answer]:
    """The answers that an outcome follows from: the one that counts, or each vote of a poll."""
    stand = standing(apart(answers, rule.near))
    return voices(stand) if rule.poll is not None else stand[-1:]


def apart(answers: Sequence[Answer], near: timedelta | None) -> Sequence[Answer]:
    """Those before which the same source said nothing of the same within `near`.

    In order of arrival, in and out. One that revises another is never left out, nor a reason to.
    """
    if near is None:
        return answers
    last: dict[str, datetime] = {}
    repeated: set[str] = set()
    for each in sorted(answers, key=lambda each: each.event_time):
        if each.op != CREATE or each.voice is None:
            continue
        before = last.get(each.voice)
        if before is not None and each.event_time - before <= near:
            repeated.add(each.event_id)
        last[each.voice] = each.event_time
    return [each for each in answers if each.event_id not in repeated]


def standing(answers: Sequence[Answer]) -> list[Answer]:
    """Those that none supersedes, as they happened; at the same moment, as they arrived.

    Where each supersedes another, in a circle, all are refused: each counts as a retraction.
    """
    superseded = {answer.supersedes for answer in answers}
    live = [each for each in answers if each.event_id not in superseded]
    if not live:
        live = [*answers] if len(answers) == 1 else [replace(a, op=RETRACT) for a in answers]
    return sorted(live, key=lambda each: each.event_time)


def judged(answer: Answer, rule: Rule) -> tuple[str, float | None]:
    """The state that an answer means, and its reward: its own, or that of the state."""
    if answer.op in (RETRACT, TIED):
        return RETRACTED if answer.op == RETRACT else TIED, None
    state = VALUE
    if rule.positive is not None:
        state = POSITIVE if answer.value == rule.positive else NEGATIVE
    return state, REWARDS.get(state) if answer.reward is None else answer.reward


def _said(one: Served, answer: Answer, rule: Rule) -> Outcome:
    state, reward = judged(answer, rule)
    value = None if state in (RETRACTED, TIED) else answer.value
    return _outcome(one, state, ON_TIME, value, reward, answer)


def _outcome(
    one: Served,
    state: str,
    how: str,
    value: str | None,
    reward: float | None,
    answer: Answer | None,
) -> Outcome:
    """What is known, and how the answer came; silence is whole, and came of itself."""
    return Outcome(
        one.inference_id,
        one.model_name,
        one.model_version,
        one.deployment_id,
        one.variant,
        state,
        how,
        value,
        reward,
        answer.credit if answer else WHOLE,
        answer.solicit_prob if answer else None,
        answer.event_time if answer else None,
    )
