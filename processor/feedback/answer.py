"""One event at a time: what an answer says, and which inferences it is about. No Spark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce
from operator import add
from typing import Any

from processor.feedback.consensus.base import WHOLE_WEIGHT
from processor.feedback.credit.base import BEHIND, FROM_FIRST, FROM_LAST
from processor.feedback.levels import MAX_REVISIONS
from processor.feedback.question import Question
from processor.feedback.rule import CREATE, CREDITED_ROLES, OK, WHOLE
from processor.terms.plain import Plain

_MICROSECOND = timedelta(microseconds=1)
_PER_SECOND = 1e6  # microseconds

Requests = Mapping[tuple[str | None, str], float]
"""The probability of each label request, by its query id and the inference that it is about."""

NO_REQUESTS: Requests = {}


@dataclass(frozen=True)
class Served:
    """An output that somebody saw: of which model, version and variant, and when.

    `key` is what answers find it by, `shown` the candidates an answer about one can be about.
    """

    inference_id: str
    response_time: datetime
    key: str | None
    shown: tuple[str, ...]
    model_name: str
    model_version: str
    deployment_id: str | None
    variant: str | None


@dataclass(frozen=True)
class Answer:
    """What an event says; `target` is the inference, or what several of them share.

    `before` is the watermark that was passed before it arrived; None where there was none.
    `rater` and `weight` (in millionths) are read where raters are told apart. `solicit_prob` is
    the probability with which it was asked for, `query_id` the request; None where nobody says.
    `voice` is what near-duplicates share, read where they are no answers.
    """

    target: str
    event_id: str
    event_time: datetime
    value: str | None
    reward: float | None
    op: str
    supersedes: str | None
    candidate_id: str | None = None
    credit: float = WHOLE
    before: datetime | None = None
    rater: str | None = None
    weight: int = WHOLE_WEIGHT
    query_id: str | None = None
    solicit_prob: float | None = None
    voice: str | None = None


def read(
    event: Mapping[str, Any], question: Question, before: datetime | None = None
) -> list[Answer]:
    """What an event says; none where it does not answer the question.

    `event` has the fields of FeedbackEvent or GroundTruth; those left out have their defaults.
    """
    candidate = event.get("candidate_id") if question.level.by_candidate else None
    vote, asked = question.vote(Plain(event)), question.solicited(Plain(event))
    whose = {} if vote is None else {"rater": vote.rater, "weight": millionths(vote.weight)}
    return [
        Answer(
            reading.target,
            event["event_id"],
            event["event_time"],
            reading.value,
            reading.reward,
            event.get("op") or CREATE,
            event.get("supersedes"),
            candidate,
            before=before,
            query_id=asked.query_id,
            solicit_prob=asked.probability,
            voice=question.voice(Plain(event)),
            **whose,
        )
        for reading in question.readings(Plain(event))
        if reading.counts
    ]


def millionths(weight: float) -> int:
    """A weight as it is counted."""
    return math.floor(weight * WHOLE_WEIGHT + 0.5)


def served(inference: Mapping[str, Any], question: Question) -> Served | None:
    """The output of an InferenceEvent; None if nobody saw it, or the model is another.

    `inference` has the fields of InferenceEvent.
    """
    seen = inference["role"] in CREDITED_ROLES and inference["status"] == OK
    if not seen or inference["model_name"] != question.model:
        return None
    shown = inference.get("shown_candidate_id")
    listed = (candidate["candidate_id"] for candidate in inference.get("candidates") or ())
    return Served(
        inference["inference_id"],
        inference.get("response_time") or inference["event_time"],
        inference.get(question.level.key),
        tuple(listed) if shown is None else (shown,),
        inference["model_name"],
        inference["model_version"],
        inference.get("deployment_id"),
        inference.get("variant"),
    )


def attribute(
    answers: Iterable[Answer],
    inferences: Iterable[Served],
    question: Question,
    requests: Requests = NO_REQUESTS,
) -> dict[str, list[Answer]]:
    """The answers of each inference, with the credit that it has of each, in the order given.

    An answer that several inferences share is divided among those that responded before it, no
    longer than the window; if there is none, nobody has it. Where sessions are told by pauses, it
    is divided among those after the last pause before it. One that revises another is divided
    as that one is. One that names a request for a label of its inference was asked for with the
    probability of that request, whatever it says itself.
    """
    listed, found = list(answers), list(inferences)
    begun = _begun(listed)
    given: dict[str, list[Answer]] = {}
    for answer in listed:
        reached = [one for one in found if one.key == answer.target]
        if question.level.shared:
            since = begun[answer.target, answer.event_id]
            shares = divide(reached, since, question)
        else:
            if question.level.by_candidate:
                reached = [one for one in reached if answer.candidate_id in one.shown]
            shares = {one.inference_id: WHOLE for one in reached}
        for name, credit in shares.items():
            asked = requests.get((answer.query_id, name), answer.solicit_prob)
            told = replace(answer, credit=credit, solicit_prob=asked)
            given.setdefault(name, []).append(told)
    return given


def divide(inferences: Sequence[Served], at: datetime, question: Question) -> dict[str, float]:
    """The credit of each inference for an answer of that moment; sums to 1, none has 0."""
    if question.credit is None:
        raise ValueError("an answer about one inference is not divided")
    window = question.rule.window
    near = [one for one in inferences if timedelta(0) <= at - one.response_time <= window]
    ordered = sorted(near, key=lambda one: (one.response_time, one.inference_id))
    if question.level.gap is not None:
        ordered = _since_pause(ordered, at, question.level.gap)
    scores = [
        question.credit.score(Plain(_standing(ordered, number))) for number in range(len(ordered))
    ]
    total = reduce(add, scores, 0.0)  # from the first to the last, as Spark adds them
    shares = zip(ordered, scores, strict=True)
    return {one.inference_id: score / total for one, score in shares if score / total > 0}


def _since_pause(ordered: Sequence[Served], at: datetime, gap: timedelta) -> list[Served]:
    """Those after the last pause that is longer than `gap`; one just before `at` is one too."""
    times = [*(one.response_time for one in ordered), at]
    paused = [n for n in range(len(ordered)) if times[n + 1] - times[n] > gap]
    return list(ordered[paused[-1] + 1 if paused else 0 :])


def _standing(ordered: Sequence[Served], number: int) -> dict[str, float]:
    behind = ordered[-1].response_time - ordered[number].response_time
    return {
        FROM_FIRST: number,
        FROM_LAST: len(ordered) - 1 - number,
        BEHIND: (behind // _MICROSECOND) / _PER_SECOND,
    }


def _begun(answers: Sequence[Answer]) -> dict[tuple[str, str], datetime]:
    """When what an answer revises was first said, as far as that is known."""
    first: dict[tuple[str, str], Answer] = {}
    for answer in answers:
        first.setdefault((answer.target, answer.event_id), answer)
    begun: dict[tuple[str, str], datetime] = {}
    for key, answer in first.items():
        earlier = answer
        for _ in range(MAX_REVISIONS):
            revised = first.get((answer.target, earlier.supersedes or ""))
            if revised is None:
                break
            earlier = revised
        begun[key] = earlier.event_time
    return begun
