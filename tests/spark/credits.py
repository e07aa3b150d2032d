"""Who is credited with what is said: many events at once, one at a time, and in plain Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import types as T

from processor.feedback import Question, Served, attribute, attribution, question_of, read, served
from processor.feedback.outcomes import PLACE
from processor.loops import LoopConfig
from tests.answers import METRIC, RECORDS, Event, framed

Credits = dict[tuple[str, str], float]
LEAD: Mapping[str, T.DataType] = {
    "batch_id": T.LongType(),
    "landed": T.LongType(),
    "topic": T.StringType(),
    "partition": T.IntegerType(),
    "offset": T.LongType(),
}
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BATCHES = (1, 2, 3)
HALF_LIFE = 10 * MINUTE
PARAMS: Mapping[str, Mapping[str, Any]] = {"time_decay": {"half_life": HALF_LIFE}}
"""What a rule of credit has to be told."""


def question(signal: str, **told: Any) -> Question:  # noqa: ANN401  # any key
    outcome = {"metric": METRIC, "signal": signal, "window": "1h", "grace": "5m", **told}
    loop = LoopConfig.model_validate({"loop": "l", "model": "m", "outcome": outcome})
    return question_of(loop, loop.outcome)


def placed(rows: Sequence[Event], rng: Random) -> list[Event]:
    """Rows in places of no order: what lands late may have a low offset."""
    offsets = rng.sample(range(10**6), len(rows))
    made = []
    for row, offset in zip(rows, offsets, strict=True):
        batch = rng.choice(BATCHES)
        lead = {"batch_id": batch, "landed": batch, "topic": rng.choice("ab")}
        made.append({**lead, "partition": rng.choice((0, 1)), "offset": offset, **row})
    return made


def place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in PLACE)


def credited(
    spark: SparkSession, outputs: Sequence[Event], events: Sequence[Event], asked: Question
) -> Credits:
    """The credit of each (event, inference), from many at once."""
    inferences = framed(spark, "InferenceEvent", list(outputs), LEAD)
    said = framed(spark, RECORDS[asked.signal.source], list(events), LEAD)
    seen = attribution.keyed(attribution.seen(inferences, asked.model), asked)
    given = attribution.attribute(attribution.read(said, asked), seen, asked)
    rows = given.select("event_id", "inference_id", "credit", *LEAD).toArrow().to_pylist()
    assert len({(row["inference_id"], *place(row)) for row in rows}) == len(rows)
    return {(row["event_id"], row["inference_id"]): row["credit"] for row in rows}


def one_by_one(outputs: Sequence[Event], events: Sequence[Event], asked: Question) -> Credits:
    """The same, from one event at a time."""
    first: dict[str, Served] = {}
    for row in sorted(outputs, key=place):
        if (one := served(row, asked)) is not None:
            first.setdefault(one.inference_id, one)
    heard = [each for row in sorted(events, key=place) for each in read(row, asked)]
    given = attribute(heard, first.values(), asked)
    return {(each.event_id, name): each.credit for name, said in given.items() for each in said}


def visible(outputs: Sequence[Event]) -> list[Event]:
    """What someone saw of the model, each as it first arrived."""
    first: dict[str, Event] = {}
    for one in sorted(outputs, key=place):
        if one["role"] in ("PRIMARY", "CANARY") and (one["status"], one["model_name"]) == (
            "OK",
            "m",
        ):
            first.setdefault(one["inference_id"], one)
    return list(first.values())


def oracle(
    outputs: Sequence[Event], answers: Sequence[Event], rule: str, of: str = "session"
) -> dict[Any, float]:
    """The credit of each (event, inference), by the rules as the guide says them."""
    key, seen = f"{of}_id", visible(outputs)
    first: dict[tuple[str, str], Event] = {}
    for said in sorted(answers, key=place):
        if said["level"] == of.upper() and said[key]:
            first.setdefault((said[key], said["event_id"]), said)
    credit: dict[Any, float] = {}
    for said in first.values():
        chain = [said]
        while len(chain) <= 32 and (said[key], chain[-1]["supersedes"]) in first:
            chain.append(first[said[key], chain[-1]["supersedes"]])
        at = chain[-1]["event_time"]
        near = [
            (one["response_time"] or one["event_time"], one["inference_id"])
            for one in seen
            if one[key] == said[key]
        ]
        near = sorted(pair for pair in near if timedelta(0) <= at - pair[0] <= HOUR)
        shares = weights(rule, at, [time for time, _ in near]) if near else []
        for (_, name), share in zip(near, shares, strict=True):
            if share:
                credit[said["event_id"], name] = share
    return credit


def weights(rule: str, at: datetime, times: Sequence[datetime]) -> list[float]:
    """The shares of outputs at these times, in order, of an answer at `at`; in another way."""
    n = len(times)
    if rule == "time_decay":
        raw = [0.5 ** ((at - time) / HALF_LIFE) for time in times]
        return [each / sum(raw) for each in raw]
    exact = {
        "uniform": [Fraction(1, n)] * n,
        "first": [Fraction(number == 0) for number in range(n)],
        "last": [Fraction(number == n - 1) for number in range(n)],
    }
    return [float(each) for each in exact[rule]]
