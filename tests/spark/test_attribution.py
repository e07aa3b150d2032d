"""Answers of many events, against the same rules said of one event, and against plain Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce
from random import Random
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from processor.feedback import Answer, Question, attribution, known, read, served
from processor.feedback.outcomes import PLACE, SERVED, Now, changes
from processor.feedback.question import CREDIT_RULES, SIGNALS
from processor.feedback.signals.base import NUMBER
from processor.table import struct
from processor.terms.columns import Columns
from processor.terms.plain import Plain
from tests.answers import METRIC, RECORDS, T0, Event, event, fields, framed
from tests.spark.credits import (
    BATCHES,
    HOUR,
    LEAD,
    MINUTE,
    PARAMS,
    oracle,
    place,
    placed,
    question,
)

EVENTS, HISTORIES = 600, 1000
MARKS: dict[int, datetime | None] = {0: None, 1: T0, 2: T0 + 75 * MINUTE, 3: T0 + 3 * HOUR}


def arrived(rows: Sequence[Event], batch: int) -> list[Event]:
    """What is there as of a batch, in order of arrival."""
    return sorted((row for row in rows if row["batch_id"] <= batch), key=place)


# --- signals --------------------------------------------------------------------------------------


def questions_of(source: str) -> list[tuple[str, Question]]:
    """Each signal of a source, and each number with a threshold too; at every level it has."""
    found: list[tuple[str, Question]] = []
    for signal in (each for each in SIGNALS if each.source == source):
        found.append((signal.name, question(signal.name)))
        if signal.becomes == NUMBER:
            named = {"threshold": 0.5, "positive": "good", "negative": "bad"}
            found.append((f"{signal.name} >= 0.5", question(signal.name, **named)))
    if source == "feedback":
        shared = {"credit": {"rule": "last"}}
        found += [(n, question("thumbs", level=n, **shared)) for n in ("session", "episode")]
        found.append(("candidate", question("thumbs", level="candidate")))
        found.append(("by gap", question("thumbs", level="session", session_gap="1h", **shared)))
        found.append(("rating on a scale", question("rating", scale=(0, 5))))
    else:
        found.append(("request", question("ground_truth", level="request")))
    return found


@pytest.mark.parametrize("source", sorted(RECORDS))
def test_many_events_say_what_each_of_them_says(spark: SparkSession, source: str) -> None:
    """One definition, read two ways, on events that are valid and events that are not."""
    rng = Random(11)
    kinds = [signal.kind for signal in SIGNALS if signal.source == source]
    rows = []
    for number in range(EVENTS):
        told: Event = {"metric": METRIC, "subject_key": "u1" if number % 5 else None}
        if source == "feedback" and number % 3:
            told |= {"kind": rng.choice(kinds), "level": "INFERENCE"}
        rows.append(event(rng, source, **told))
    rows = placed(rows, rng)
    frame = framed(spark, RECORDS[source], rows, LEAD)
    asked = questions_of(source)
    said = (attribution.read(frame, q).withColumn("asked", F.lit(name)) for name, q in asked)
    union = reduce(lambda a, b: a.unionByName(b, allowMissingColumns=True), said)
    found = sorted(
        (row["asked"], row["offset"], row["target"], row["value"], repr(row["reward"]), row["op"])
        for row in union.toArrow().to_pylist()
    )
    wanted = sorted(
        (name, row["offset"], a.target, a.value, repr(a.reward), a.op)
        for name, q in asked
        for row in rows
        for a in read(row, q)
    )
    assert [key(each) for each in found] == [key(each) for each in wanted]
    assert {name for name, *_ in found} == {name for name, _ in asked}


@pytest.mark.parametrize("source", sorted(RECORDS))
def test_what_is_asked_for_and_blank_is_so_of_many_events_as_of_one(
    spark: SparkSession, source: str
) -> None:
    rng = Random(12)
    kinds = [signal.kind for signal in SIGNALS if signal.source == source]
    told = [{} if source == "ground_truth" else {"kind": rng.choice(kinds)} for _ in range(EVENTS)]
    rows = placed([event(rng, source, **each) for each in told], rng)
    frame = framed(spark, RECORDS[source], rows, LEAD)
    asked = questions_of(source)
    columns = (F.array(q.asks(Columns()), q.blank(Columns())).alias(name) for name, q in asked)
    found = frame.select("offset", *columns).toArrow().to_pylist()
    by_place = {row["offset"]: row for row in rows}
    for row in found:
        one = Plain(by_place[row.pop("offset")])
        assert row == {name: [q.asks(one), q.blank(one)] for name, q in asked}
    assert {tuple(each) for row in found for each in row.values()} >= {(True, True), (True, False)}


def key(found: tuple[Any, ...]) -> str:
    return repr(found)


# --- credit ---------------------------------------------------------------------------------------


def session(rng: Random, name: str) -> tuple[list[Event], list[Event]]:
    """A session: outputs of which some nobody saw, and answers to it, some revised or doubled."""
    outputs = []
    for number in range(rng.choice((0, 1, 2, 3, 3, 5))):
        made = inference(rng, f"{name}-i{number}", name)
        outputs += [made] * rng.choice((1, 1, 1, 2))
    ids = [f"{name}-e{number}" for number in range(4)]
    answers = [answer(rng, name, rng.choice(ids), ids) for _ in range(rng.choice((0, 1, 2, 4)))]
    return outputs, answers


def inference(rng: Random, name: str, of: str) -> Event:
    made: Event = dict.fromkeys(fields("InferenceEvent"))
    at = T0 + rng.choice((timedelta(0), MINUTE, MINUTE, 10 * MINUTE, 20 * MINUTE, HOUR))
    return made | {
        "inference_id": name,
        "event_time": at,
        "response_time": rng.choice((None, at, at + MINUTE)),
        "session_id": of,
        "episode_id": of,
        "subject_key": of,
        "role": rng.choice(("PRIMARY", "PRIMARY", "CANARY", "SHADOW")),
        "status": rng.choice(("OK", "OK", "OK", "ERROR")),
        "model_name": rng.choice(("m", "m", "m", "another")),
        "model_version": rng.choice(("1", "2")),
        "variant": rng.choice((None, "blue")),
    }


def answer(rng: Random, of: str, name: str, ids: Sequence[str]) -> Event:
    lags = (timedelta(0), MINUTE, 10 * MINUTE, 15 * MINUTE, HOUR, HOUR + 10 * MINUTE, 2 * HOUR)
    said = event(
        rng, "feedback", kind="RATING", level=rng.choice(("SESSION", "SESSION", "EPISODE"))
    )
    return said | {
        "event_id": name,
        "event_time": T0 + rng.choice(lags),
        "metric": METRIC,
        "inference_id": f"{of}-i{rng.randrange(3)}",
        "session_id": of,
        "episode_id": of,
        "subject_key": of,
        "value_num": rng.choice((1.0, 2.0, 4.0, 5.0)),
        "scale_min": 1.0,
        "scale_max": 5.0,
        "supersedes": rng.choice((None, None, *ids)),
        "query_id": rng.choice((None, None, *(f"{of}-i{n}" for n in range(3)))),
        "solicit_prob": rng.choice((None, None, 1.0, 0.5)),
    }


def histories(seed: int, count: int) -> tuple[list[Event], list[Event]]:
    rng = Random(seed)
    made = [session(rng, f"s{number}") for number in range(count)]
    outputs = placed([o for both in made for o in both[0]], rng)
    return outputs, placed([a for both in made for a in both[1]], rng)


@pytest.fixture(scope="module")
def told(spark_session: SparkSession) -> tuple[list[Event], list[Event], DataFrame, DataFrame]:
    outputs, answers = histories(3, HISTORIES)
    said = framed(spark_session, "InferenceEvent", outputs, LEAD)
    return outputs, answers, said, framed(spark_session, "FeedbackEvent", answers, LEAD)


Told = tuple[list[Event], list[Event], DataFrame, DataFrame]


def shared(rule: str, **told: Any) -> Question:  # noqa: ANN401  # any key
    credit = {"rule": rule, **PARAMS.get(rule, {})}
    return question("rating", level="session", credit=credit, **told)


def test_credit_is_what_plain_python_gives(told: Told) -> None:
    outputs, answers, inferences, feedback = told
    rules = [rule.name for rule in CREDIT_RULES]
    frames = []
    for rule in rules:
        asked = shared(rule)
        seen = attribution.keyed(attribution.seen(inferences, asked.model), asked)
        given = attribution.attribute(attribution.read(feedback, asked), seen, asked)
        frames.append(given.select(F.lit(rule).alias("rule"), "event_id", "inference_id", "credit"))
    rows = reduce(DataFrame.unionByName, frames).toArrow().to_pylist()
    found = {(r["rule"], r["event_id"], r["inference_id"]): r["credit"] for r in rows}
    assert len(found) == len(rows)
    wanted = {
        (rule, *names): share
        for rule in rules
        for names, share in oracle(outputs, answers, rule).items()
    }
    assert found.keys() == wanted.keys()
    assert all(found[names] == pytest.approx(wanted[names], rel=1e-12) for names in wanted)
    assert_conserved(found)
    shadows = {o["inference_id"] for o in outputs if o["role"] == "SHADOW"}
    unseen = shadows - {o["inference_id"] for o in outputs if o["role"] != "SHADOW"}
    assert unseen.isdisjoint(name for _, _, name in found)


def assert_conserved(found: Mapping[tuple[str, str, str], float]) -> None:
    """Each answer is given once, wholly."""
    sums: dict[tuple[str, str], float] = defaultdict(float)
    for (rule, said, _), credit in found.items():
        sums[rule, said] += credit
    assert sums
    assert all(total == pytest.approx(1, abs=1e-12) for total in sums.values())


# --- one event at a time is the batch -------------------------------------------------------------

ASKED = {
    "direct": question("rating", threshold=0.5, default="negative"),
    "shared": shared("time_decay"),
    "by gap": shared("time_decay", session_gap="10m"),
    "last": question(
        "rating", level="session", credit={"rule": "last"}, threshold=0.5, default="negative"
    ),
}


@pytest.mark.parametrize("name", sorted(ASKED))
def test_one_event_at_a_time_comes_to_what_the_batches_do(
    spark: SparkSession, told: Told, name: str
) -> None:
    outputs, answers, inferences, feedback = told
    asked_for = {(one["inference_id"], one["inference_id"]): 0.125 for one in outputs}
    requests = spark.createDataFrame([(*names, p) for names, p in asked_for.items()], REQUEST)
    if name == "direct":
        answers = [a | {"level": "INFERENCE"} for a in answers]
        feedback = feedback.withColumn("level", F.lit("INFERENCE"))
    asked, ledger = ASKED[name], spark.createDataFrame([], KNOWN)
    heard: list[Answer] = []
    rows: list[dict[str, Any]] = []
    for batch in BATCHES:
        for row in arrived(answers, batch):
            if row["batch_id"] == batch:  # one event at a time, in order of arrival
                heard += read(row, asked, MARKS[batch - 1])
        sent = (inferences, feedback, ledger)
        news = additions(spark, *sent, asked, batch, requests).toArrow().to_pylist()
        rows += [{"batch_id": batch, **row} for row in news]
        ledger = spark.createDataFrame(
            [tuple(row[column] for column in KNOWN.names) for row in rows], KNOWN
        )
        seen = [one for row in arrived(outputs, batch) if (one := served(row, asked)) is not None]
        wanted = known(seen, heard, asked, MARKS[batch], asked_for)
        assert standing(rows) == {one: said_of(vars(each)) for one, each in wanted.items()}
    assert {row["timing"] for row in rows} >= {"ON_TIME", "LATE"}
    assert name == "direct" or any(row["credit"] == 0 for row in rows)
    assert {row["solicit_prob"] for row in rows} == {None, 1.0, 0.5, 0.125}


KNOWN = struct(
    inference_id=T.StringType(),
    batch_id=T.LongType(),
    timing=T.StringType(),
    state=T.StringType(),
    value=T.StringType(),
    reward=T.DoubleType(),
    credit=T.DoubleType(),
    solicit_prob=T.DoubleType(),
)
REQUEST = "query_id string, inference_id string, inclusion_prob double"
MARK = struct(batch_id=T.LongType(), before=T.TimestampType())
COMPARED = (*SERVED, "state", "timing", "value", "reward", "solicit_prob", "answered_at")


def additions(
    spark: SparkSession,
    inferences: DataFrame,
    feedback: DataFrame,
    ledger: DataFrame,
    asked: Question,
    batch: int,
    requests: DataFrame | None = None,
) -> DataFrame:
    """What a batch adds, as the stage asks for it."""
    by_now = F.col("batch_id") <= batch
    seen = attribution.seen(inferences.where(by_now), asked.model)
    said, reached = attribution.read(feedback.where(by_now), asked), attribution.keyed(seen, asked)
    given = attribution.attribute(said, reached, asked)
    moved = attribution.moved(said, reached, batch) if asked.level.shared else None
    return changes(
        seen.select("inference_id", *SERVED, "response_time", *PLACE),
        given if requests is None else attribution.by_request(given, requests),
        ledger,
        spark.createDataFrame([(n, MARKS[n - 1]) for n in range(1, batch + 1)], MARK),
        Now(batch, MARKS[batch], MARKS[batch - 1]),
        asked.rule,
        moved,
    )


def standing(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The last that the ledger says of each inference; nothing where all credit was lost."""
    last: dict[str, Mapping[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["batch_id"]):
        if row["timing"] in ("ON_TIME", "DEFAULT"):
            last[row["inference_id"]] = row
    return {name: said_of(row) for name, row in last.items() if row["credit"] > 0}


def said_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (*(row[name] for name in COMPARED), round(row["credit"], 12))
