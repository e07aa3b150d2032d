"""What is said nearly twice is no answer where the loop says so: of many events as of one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from pyspark.sql import SparkSession

from processor.feedback import Answer, Outcome, Question, known, question_of, read, served
from processor.feedback.rule import KNOWN_BY
from processor.loops import LoopConfig
from tests.answers import METRIC, T0, Event, fields, framed
from tests.spark.credits import BATCHES, LEAD, placed
from tests.spark.test_attribution import KNOWN, MARKS, additions, arrived

SECOND = timedelta(seconds=1)
OUTPUTS, MOST_ANSWERS = 150, 8
ASKED: dict[str, dict[str, Any]] = {
    "one word": {},
    "a poll": {"consensus": {"rule": "majority"}},
    "a session": {"level": "session", "credit": {"rule": "uniform"}},
}


def asked(policy: str, **told: Any) -> Question:  # noqa: ANN401  # any key
    outcome = {"metric": METRIC, "signal": "rating", "scale": (0, 5), "window": "1h", **told}
    arrivals = {"near": "5s", "near_policy": policy}
    loop = {"loop": "l", "model": "m", "outcome": outcome, "arrivals": arrivals}
    made = LoopConfig.model_validate(loop)
    return question_of(made, made.outcome)


def history(level: str) -> tuple[list[Event], list[Event]]:
    """Answers seconds apart, of few sources: pauses of exactly the bound, and none, are common."""
    rng = Random(6)
    outputs, answers = [], []
    for number in range(OUTPUTS):
        made: Event = dict.fromkeys(fields("InferenceEvent"))
        made |= {"inference_id": f"i{number}", "session_id": f"s{number // 2}", "event_time": T0}
        made |= {"role": "PRIMARY", "status": "OK", "model_name": "m", "model_version": "1"}
        outputs.append(made)
        for each in range(rng.randrange(MOST_ANSWERS + 1)):
            named = {"event_id": f"e{number}-{each}", "inference_id": f"i{number}"}
            answers.append(answer(rng, named | {"session_id": made["session_id"], "level": level}))
    return placed(outputs, rng), placed(answers, rng)


def answer(rng: Random, named: Event) -> Event:
    made: Event = dict.fromkeys(fields("FeedbackEvent"))
    revised = rng.choice((None,) * 7 + (named["event_id"][:-1] + "0",))
    op = rng.choice(("UPDATE", "RETRACT")) if revised else "CREATE"
    who = {
        "rater_id": rng.choice((None, "", "r", "r", "x")),
        "client_hash": rng.choice((None, "r")),
    }
    what = {"item_id": rng.choice((None, None, None, "a")), "value_num": float(rng.randrange(6))}
    return {
        **made,
        **named,
        "metric": METRIC,
        "kind": "RATING",
        "op": op,
        "supersedes": revised,
        "source": "app",
        "event_time": moment(rng),
        **who,
        **what,
    }


def moment(rng: Random) -> datetime:
    return T0 + rng.choice((-1, 0, 1, 3, 5, 6, 10, 11, 3600, 3601)) * SECOND


@pytest.mark.parametrize("name", ASKED)
def test_the_batches_come_to_what_one_event_at_a_time_does(spark: SparkSession, name: str) -> None:
    question = asked("first", **ASKED[name])
    outputs, answers = history("SESSION" if name == "a session" else "INFERENCE")
    inferences = framed(spark, "InferenceEvent", outputs, LEAD)
    feedback = framed(spark, "FeedbackEvent", answers, LEAD)
    rows: list[dict[str, Any]] = []
    for batch in BATCHES:
        ledger = spark.createDataFrame([tuple(r[n] for n in KNOWN.names) for r in rows], KNOWN)
        news = additions(spark, inferences, feedback, ledger, question, batch)
        rows += [{"batch_id": batch, **row} for row in news.toArrow().to_pylist()]
        wanted = one_by_one(outputs, answers, question, batch)
        assert standing(rows) == {one: said_of(vars(each)) for one, each in wanted.items()}
    kept = one_by_one(outputs, answers, asked("keep", **ASKED[name]), batch)
    assert sum(kept[one] != each for one, each in wanted.items()) > OUTPUTS // 20


def one_by_one(
    outputs: list[Event], answers: list[Event], question: Question, batch: int
) -> dict[str, Outcome]:
    heard: list[Answer] = []
    for row in arrived(answers, batch):
        heard += read(row, question, MARKS[row["batch_id"] - 1])
    seen = [one for row in arrived(outputs, batch) if (one := served(row, question)) is not None]
    return known(seen, heard, question, MARKS[batch])


def standing(rows: list[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """The last that the ledger says of each inference."""
    told = [row for row in rows if row["timing"] in KNOWN_BY]
    last = {row["inference_id"]: row for row in sorted(told, key=lambda row: row["batch_id"])}
    return {name: said_of(row) for name, row in last.items() if row["credit"] > 0}


def said_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What is known; not when it was said: the same, said again, makes no row of the ledger."""
    names = ("state", "timing", "value", "reward")
    return (*(row[name] for name in names), round(row["credit"], 12))
