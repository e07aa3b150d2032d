"""The ledger of outcomes and the standings, against the rules written again in plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from random import Random
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from processor.feedback.outcomes import Now, changes, first_by
from processor.feedback.rule import KNOWN_BY, Rule
from processor.feedback.standing import AsOf, latest, standing
from processor.tables import ORIGIN

T0 = datetime(2024, 3, 1, tzinfo=UTC)
MICRO, MINUTE, HOUR = timedelta(microseconds=1), timedelta(minutes=1), timedelta(hours=1)
WINDOW = HOUR
BATCHES = (1, 2, 3, 4)
REWARDS = {"POSITIVE": 1.0, "NEGATIVE": 0.0}
HISTORIES = 400

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


# --- the rules again ------------------------------------------------------------------------------


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
    """Of those that none supersedes, the last that happened; all stand if they go in a circle."""
    gone = {a.supersedes for a in answers}
    stand = [a for a in answers if a.event_id not in gone] or answers
    return max(stand, key=lambda a: (a.event_time, a.place))


def said_by(answers: Sequence[Answer], rule: Rule) -> tuple[str, str | None, datetime]:
    """State, value and time of what answers come to."""
    one = counting(answers)
    if one.op == "RETRACT":
        return "RETRACTED", None, one.event_time
    return ("POSITIVE" if one.value == rule.positive else "NEGATIVE"), one.value, one.event_time


def told(
    inference: Inference, weighed: Sequence[Answer], how: str, what: tuple[Any, Any, Any]
) -> Row:
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
        what[2],
        (own, *(a.place[1:] for a in weighed)),
    )


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
        now = told(inference, [], "DEFAULT", ("NEGATIVE", rule.silence, None))
    if now and (was is None or (was.state, was.value) != (now.state, now.value)):
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


# --- through Spark --------------------------------------------------------------------------------

MICROS = pa.timestamp("us", tz="UTC")
TEXT = pa.string()
PLACE = {"batch_id": pa.int64(), "landed": pa.int64(), "topic": TEXT}
PLACE |= {"partition": pa.int32(), "offset": pa.int64()}
INFERENCE = {"inference_id": TEXT, "response_time": MICROS, "model_version": TEXT}
INFERENCE |= {"model_name": TEXT, "deployment_id": TEXT, "variant": TEXT}
ANSWER = {"inference_id": TEXT, "event_id": TEXT, "event_time": MICROS}
ANSWER |= {"value": TEXT, "reward": pa.float64(), "op": TEXT, "supersedes": TEXT}
ANSWER |= {"credit": pa.float64()}
LEDGER = {"inference_id": TEXT, "batch_id": pa.int64(), "timing": TEXT, "state": TEXT}
LEDGER |= {"value": TEXT, "reward": pa.float64(), "credit": pa.float64()}


def frame(
    spark: SparkSession, columns: Mapping[str, pa.DataType], rows: Iterable[Sequence[Any]]
) -> DataFrame:
    listed = [dict(zip(columns, row, strict=True)) for row in rows]
    made: DataFrame = spark.createDataFrame(pa.Table.from_pylist(listed, pa.schema(columns)))
    return made


def frame_of_inferences(spark: SparkSession, rows: Iterable[Inference]) -> DataFrame:
    values = [
        (*i.place, i.inference_id, i.response_time, i.model_version, "m", None, None) for i in rows
    ]
    return frame(spark, {**PLACE, **INFERENCE}, values)


def frame_of_answers(spark: SparkSession, rows: Iterable[Answer]) -> DataFrame:
    values = [
        (*a.place, a.inference_id, a.event_id, a.event_time, a.value, None, a.op, a.supersedes, 1.0)
        for a in rows
    ]
    return frame(spark, {**PLACE, **ANSWER}, values)


def frame_of_ledger(spark: SparkSession, ledger: Iterable[Known]) -> DataFrame:
    values = [
        (r.inference_id, batch, r.timing, r.state, r.value, r.reward, r.credit)
        for batch, r in ledger
    ]
    return frame(spark, LEDGER, values)


def row_of(found: Mapping[str, Any]) -> Row:
    origins = tuple(tuple(o[name] for name in ORIGIN.names) for o in found["origins"])
    return Row(**{**{name: found[name] for name in Row._fields}, "origins": origins})


def added(  # one batch, as the stage asks for it
    spark: SparkSession,
    data: tuple[Sequence[Inference], Sequence[Answer]],
    ledger: Sequence[Known],
    batch: int,
    rule: Rule,
) -> list[Row]:
    inferences, answers = data
    before = [(n, MARKS.get(n - 1)) for n in range(1, batch + 1)]
    rows = changes(
        frame_of_inferences(spark, [i for i in inferences if i.place.batch_id <= batch]),
        frame_of_answers(spark, [a for a in answers if a.place.batch_id <= batch]),
        frame_of_ledger(spark, ledger),
        frame(spark, {"batch_id": pa.int64(), "before": MICROS}, before),
        Now(batch, MARKS[batch], MARKS.get(batch - 1)),
        rule,
    )
    return [row_of(row) for row in rows.toArrow().to_pylist()]


def standings_of(
    data: tuple[Sequence[Inference], Sequence[Answer]],
    ledger: Sequence[Known],
    batch: int,
    rule: Rule,
) -> Counter[str]:
    counted: Counter[str] = Counter()
    for inference, _ in as_of(batch, *data):
        was = last_known(ledger, inference.inference_id)
        if was is not None:
            counted["retracted" if was.state == "RETRACTED" else "known"] += 1
        else:
            counted["unknown" if passed(MARKS[batch], closes(inference, rule)) else "censored"] += 1
    for amiss in ("LATE", "OUTSIDE"):
        counted[amiss.lower()] = len({r.inference_id for _, r in ledger if r.timing == amiss})
    return +counted


@pytest.mark.parametrize("rule", [PATIENT, STRICT], ids=["silence says nothing", "silence is no"])
def test_batch_by_batch_the_ledger_is_what_the_rules_say(spark: SparkSession, rule: Rule) -> None:
    data = histories(seed=7)
    ledger: list[Known] = []
    for batch in BATCHES:
        wanted = [
            row
            for inference, answers in as_of(batch, *data)
            for row in expected(
                inference, answers, last_known(ledger, inference.inference_id), batch, rule
            )
        ]
        found = added(spark, data, ledger, batch, rule)
        assert sorted(found, key=repr) == sorted(wanted, key=repr), f"batch {batch}"
        ledger += [(batch, row) for row in found]
        stood = standing(
            frame_of_first(spark, data[0], batch),
            frame_of_ledger(spark, ledger),
            rule,
            *(AsOf(each, MARKS[each]) for each in BATCHES[:batch]),
        )
        counts = {each: Counter[str]() for each in BATCHES[:batch]}
        for row in stood.collect():
            counts[row["batch_id"]][row["standing"]] = row["n"]
        for each, counted in counts.items():
            known = [(n, row) for n, row in ledger if n <= each]
            assert counted == standings_of(data, known, each, rule)
    assert_all_was_seen(ledger, rule)


def frame_of_first(spark: SparkSession, rows: Sequence[Inference], batch: int) -> DataFrame:
    known = [row for row in rows if row.place.batch_id <= batch]
    return first_by(frame_of_inferences(spark, known), "inference_id")


def assert_all_was_seen(ledger: Sequence[Known], rule: Rule) -> None:
    """The histories are no test of what does not occur in them."""
    timings = {row.timing for _, row in ledger}
    assert timings >= {"ON_TIME", "LATE", "OUTSIDE"}
    assert ("DEFAULT" in timings) == (rule.silence is not None)
    assert {row.state for _, row in ledger} == {"POSITIVE", "NEGATIVE", "RETRACTED"}
    changed = Counter(row.inference_id for _, row in ledger if row.timing in KNOWN_BY)
    assert max(changed.values()) > 1


def test_the_last_known_of_an_inference_is_of_its_last_batch(spark: SparkSession) -> None:
    def row(timing: str, value: str | None, state: str) -> Row:
        return Row("i", "v1", T0, state, timing, value, None, 1.0, None, ())

    ledger = [
        (9, row("LATE", "yes", "POSITIVE")),
        (3, row("ON_TIME", None, "RETRACTED")),
        (2, row("ON_TIME", "yes", "POSITIVE")),
        (4, row("OUTSIDE", "no", "NEGATIVE")),
    ]
    (found,) = latest(frame_of_ledger(spark, ledger), "batch_id", "state", "value").collect()
    assert (found["batch_id"], found["state"], found["value"]) == (3, "RETRACTED", None)


def test_of_rows_with_one_key_the_first_by_place_is_kept(spark: SparkSession) -> None:
    rng = Random(5)
    rows = [
        Inference(
            Place(
                rng.choice((1, 2)), rng.choice((1, 2)), rng.choice("ab"), rng.choice((0, 1)), offset
            ),
            rng.choice(("x", "y", "z")),
            T0 + MICRO * offset,
            "v1",
        )
        for offset in range(60)
    ]
    rng.shuffle(rows)
    found = {
        r["inference_id"]: Place(*(r[name] for name in Place._fields))
        for r in first_by(frame_of_inferences(spark, rows), "inference_id").collect()
    }
    keyed = sorted((r.inference_id, r.place) for r in rows)
    assert found == {name: next(group)[1] for name, group in groupby(keyed, lambda pair: pair[0])}
