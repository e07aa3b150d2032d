"""The rules of the ledger written again in plain Python, and random histories to hold them to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

from processor.feedback.rule import Rule

T0 = datetime(2024, 3, 1, tzinfo=UTC)
MICRO, MINUTE, HOUR = timedelta(microseconds=1), timedelta(minutes=1), timedelta(hours=1)
WINDOW = HOUR
BATCHES = (1, 2, 3, 4)
REWARDS = {"POSITIVE": 1.0, "NEGATIVE": 0.0}
HISTORIES = 500

PATIENT = Rule("metric", WINDOW, 10 * MINUTE, positive="yes", silence=None)
STRICT = Rule("metric", WINDOW, timedelta(0), positive="yes", silence="no")
MARKS: dict[int, datetime | None] = {1: None, 2: T0 + HOUR, 3: T0 + 70 * MINUTE, 4: T0 + 4 * HOUR}
"""Watermarks by batch, some of them on the very moment that windows close; none at first."""


class Place(NamedTuple):
    batch_id: int
    landed: int
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True)
class Inference:
    place: Place
    inference_id: str
    response_time: datetime
    model_version: str


@dataclass(frozen=True)
class Answer:
    place: Place
    inference_id: str
    event_id: str
    event_time: datetime
    value: str | None
    op: str
    supersedes: str | None
    solicit_prob: float | None


class Row(NamedTuple):
    """A row of the ledger, as tests compare it."""

    inference_id: str
    model_version: str
    response_time: datetime
    state: str
    timing: str
    value: str | None
    reward: float | None
    credit: float
    solicit_prob: float | None
    answered_at: datetime | None
    origins: tuple[tuple[int, str, int, int], ...]


Known = tuple[int, Row]


def places(rng: Random) -> Iterator[Place]:
    """Places in no order: what lands late may have a low offset."""
    offsets = rng.sample(range(100_000), 100_000)
    for offset in offsets:
        topic, partition = rng.choice(("a", "b")), rng.choice((0, 1))
        known = rng.choice(BATCHES)
        yield Place(known, rng.randint(1, known), topic, partition, offset)


def history(rng: Random, name: str, at: Iterator[Place]) -> tuple[list[Inference], list[Answer]]:
    """One inference, sometimes sent twice, and up to six answers, from few times and ids."""
    responded = T0 + rng.choice((timedelta(0), 10 * MINUTE, HOUR, MICRO, -MICRO))
    said = [Inference(next(at), name, responded, "v1")]
    if rng.random() < 0.1:
        said.append(replace(said[0], place=next(at), response_time=responded + HOUR))
    ids = [f"{name}-{n}" for n in range(4)]
    answers = [
        Answer(
            next(at),
            name,
            rng.choice(ids),
            responded
            + rng.choice(
                (-MICRO, timedelta(0), MICRO, 20 * MINUTE, 20 * MINUTE, WINDOW, WINDOW + MICRO)
            ),
            rng.choice(("yes", "no", "other")),
            rng.choice(("CREATE", "CREATE", "UPDATE", "RETRACT")),
            rng.choice((None, None, *ids)),
            rng.choice((None, None, 0.25, 1.0)),
        )
        for _ in range(rng.choice((0, 1, 1, 2, 3, 6)))
    ]
    if rng.random() < 0.05:
        said = []
    return said, answers


def histories(seed: int) -> tuple[list[Inference], list[Answer]]:
    rng = Random(seed)
    at = places(rng)
    parts = [history(rng, f"i{n}", at) for n in range(HISTORIES)]
    return [i for said, _ in parts for i in said], [a for _, heard in parts for a in heard]


def closes(inference: Inference, rule: Rule) -> datetime:
    return inference.response_time + rule.window + rule.grace


def passed(mark: datetime | None, time: datetime) -> bool:
    return mark is not None and mark >= time


def timing(answer: Answer, inference: Inference, rule: Rule) -> str:
    """Where an answer falls: outside the window, after its closing, or on time."""
    lag = answer.event_time - inference.response_time
    if lag < timedelta(0) or lag > rule.window:
        return "OUTSIDE"
    if passed(MARKS.get(answer.place.batch_id - 1), closes(inference, rule)):
        return "LATE"
    return "ON_TIME"


def once(answers: Iterable[Answer]) -> list[Answer]:
    """Each event id once, the first by place, in order of arrival."""
    found: dict[str, Answer] = {}
    for answer in sorted(answers, key=lambda a: a.place):
        found.setdefault(answer.event_id, answer)
    return list(found.values())


def counting(answers: Sequence[Answer]) -> Answer:
    """Of those that none supersedes, the last that happened; in a circle all are taken back."""
    gone = {a.supersedes for a in answers}
    stand = [a for a in answers if a.event_id not in gone]
    if not stand and len(answers) > 1:
        stand = [replace(a, op="RETRACT") for a in answers]
    return max(stand or answers, key=lambda a: (a.event_time, a.place))


Said = tuple[str, str | None, float | None, datetime | None]


def said_by(answers: Sequence[Answer], rule: Rule) -> Said:
    """State, value, probability of having been asked for and time of what answers come to."""
    one = counting(answers)
    if one.op == "RETRACT":
        return "RETRACTED", None, one.solicit_prob, one.event_time
    state = "POSITIVE" if one.value == rule.positive else "NEGATIVE"
    return state, one.value, one.solicit_prob, one.event_time


def told(inference: Inference, weighed: Sequence[Answer], how: str, what: Said) -> Row:
    own = inference.place[1:]
    return Row(
        inference.inference_id,
        inference.model_version,
        inference.response_time,
        what[0],
        how,
        what[1],
        REWARDS.get(what[0]),
        1.0,
        *what[2:],
        (own, *(a.place[1:] for a in weighed)),
    )


def news_of(row: Row) -> tuple[object, ...]:
    """What has to differ for a row to be news."""
    return row.state, row.value, row.solicit_prob


def expected(
    inference: Inference,
    answers: Sequence[Answer],
    was: Row | None,
    batch: int,
    rule: Rule,
) -> Iterator[Row]:
    """What batch `batch` adds for one inference, of which `was` is the last thing known."""
    by_timing: dict[str, list[Answer]] = {"ON_TIME": [], "LATE": [], "OUTSIDE": []}
    for answer in once(answers):
        by_timing[timing(answer, inference, rule)].append(answer)
    now: Row | None = None
    if by_timing["ON_TIME"]:
        weighed = by_timing["ON_TIME"]
        now = told(inference, weighed, "ON_TIME", said_by(weighed, rule))
    elif rule.silence is not None and passed(MARKS[batch], closes(inference, rule)):
        now = told(inference, [], "DEFAULT", ("NEGATIVE", rule.silence, None, None))
    if now and (was is None or news_of(was) != news_of(now)):
        yield now
    for amiss in ("LATE", "OUTSIDE"):
        news = [
            a for a in by_timing[amiss] if max(a.place.batch_id, inference.place.batch_id) == batch
        ]
        if news:
            yield told(inference, news, amiss, said_by(news, rule))


def as_of(
    batch: int, inferences: Iterable[Inference], answers: Iterable[Answer]
) -> Iterator[tuple[Inference, list[Answer]]]:
    """Each inference known at `batch`, the first of its rows, with the answers known by then."""
    firsts: dict[str, Inference] = {}
    for each in sorted(inferences, key=lambda i: i.place):
        if each.place.batch_id <= batch:
            firsts.setdefault(each.inference_id, each)
    heard: dict[str, list[Answer]] = {}
    for answer in answers:
        if answer.place.batch_id <= batch:
            heard.setdefault(answer.inference_id, []).append(answer)
    for name, first in firsts.items():
        yield first, heard.get(name, [])


def last_known(ledger: Iterable[Known], name: str) -> Row | None:
    rows = [
        (batch, row)
        for batch, row in ledger
        if row.inference_id == name and row.timing in ("ON_TIME", "DEFAULT")
    ]
    return max(rows, key=lambda pair: pair[0])[1] if rows else None
