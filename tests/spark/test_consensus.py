"""What several raters come to, of many inferences: against the same said of one, and plain Python.

The histories have ties, weights of nothing, answers taken back, revised, and sent twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from fractions import Fraction
from functools import reduce
from random import Random
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from processor.feedback import Answer, known, read, served
from processor.feedback.poll import polled as polled_one
from processor.feedback.polls import polled
from processor.feedback.rule import Poll, Rule, Tie
from tests.answers import METRIC, T0, Event, event, fields, framed
from tests.spark.credits import BATCHES, LEAD, placed, question
from tests.spark.test_attribution import KNOWN, MARKS, additions, arrived, said_of, standing

POLLS, HISTORIES = 800, 500
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
VALUES, RATERS = ("yes", "no", "maybe"), ("ann", "bob", "eve", None)
TIES: tuple[Tie | None, ...] = (None, "positive", "negative", "last")

# --- one poll -------------------------------------------------------------------------------------

STANDING = pa.struct(
    {
        "event_time": pa.timestamp("us", tz="UTC"),
        "event_id": pa.string(),
        "value": pa.string(),
        "op": pa.string(),
        "reward": pa.float64(),
        "credit": pa.float64(),
        "rater": pa.string(),
        "weight": pa.int64(),
    }
)


def cast(rng: Random) -> list[Event]:
    """Answers that stand, as they happened, from few values."""
    return [
        {
            "event_time": T0 + number * MINUTE,
            "event_id": f"e{number}",
            "value": rng.choice(VALUES),
            "op": rng.choice(("CREATE", "CREATE", "UPDATE", "RETRACT")),
            "reward": rng.choice((None, 0.25, 1.0)),
            "credit": rng.choice((1.0, 0.5)),
            "rater": rng.choice(RATERS),
            "weight": rng.choice((0, 100_000, 200_000, 300_000, 300_000)),
        }
        for number in range(rng.choice((0, 1, 2, 3, 4, 6, 9)))
    ]


def comes_to(votes: Sequence[Event], tie: Tie | None) -> tuple[Any, ...] | None:
    """What the guide says: the op, and for a winner the value and the event."""
    last: dict[Any, Event] = {}
    for number, vote in enumerate(votes):
        last[vote["rater"] or number] = vote  # a later answer takes the place of an earlier one
    heard = [v for v in last.values() if v["op"] == "RETRACT" or v["weight"]]
    said = sorted((v for v in heard if v["op"] != "RETRACT"), key=lambda v: str(v["event_time"]))
    if not said:
        return ("RETRACT",) if heard else None
    sums: dict[str, Fraction] = defaultdict(Fraction)
    for vote in said:
        sums[vote["value"]] += Fraction(vote["weight"], 10**6)
    first = [value for value in sums if sums[value] == max(sums.values())]
    if len(first) > 1 and tie == "last":
        first = [next(v["value"] for v in reversed(said) if v["value"] in first)]
    if len(first) > 1 and tie is not None:
        first = [value for value in first if (value == "yes") is (tie == "positive")]
    if len(first) != 1:
        return ("TIED",)
    event_id = [v["event_id"] for v in said if v["value"] == first[0]][-1]
    return ("SAID", first[0], event_id)


def told(found: Mapping[str, Any] | None) -> tuple[Any, ...] | None:
    if found is None:
        return None
    if found["op"] in ("RETRACT", "TIED"):
        assert found["op"] == "RETRACT" or (found["value"], found["reward"]) == (None, None)
        return (found["op"],)
    return ("SAID", found["value"], found["event_id"])


def test_a_poll_comes_to_what_plain_python_says_of_it(spark: SparkSession) -> None:
    rng = Random(4)
    polls = [cast(rng) for _ in range(POLLS)]
    schema = pa.schema({"number": pa.int64(), "_standing": pa.list_(STANDING)})
    rows = [{"number": n, "_standing": rng.sample(p, len(p))} for n, p in enumerate(polls)]
    frame = spark.createDataFrame(pa.Table.from_pylist(rows, schema))
    rules = {str(tie): Rule("m", HOUR, MINUTE, "yes", poll=Poll(tie)) for tie in TIES}
    made = (polled(frame, rule).withColumn("tie", F.lit(tie)) for tie, rule in rules.items())
    found = reduce(DataFrame.unionByName, made).toArrow().to_pylist()
    many = {(row["number"], row["tie"]): told(row["_w"]) for row in found}
    seen = set()
    for number, poll in enumerate(polls):
        for tie in TIES:
            wanted = comes_to(poll, tie)
            one = polled_one([of(each) for each in poll], rules[str(tie)])
            assert told(None if one is None else vars(one)) == wanted, poll
            assert many[number, str(tie)] == wanted, poll
            seen.add((tie, wanted and wanted[0]))
    assert seen >= {(tie, kind) for tie in TIES[:3] for kind in (None, "RETRACT", "TIED", "SAID")}
    assert ("last", "TIED") not in seen


def of(vote: Event) -> Answer:
    return Answer(target="i", supersedes=None, **vote)


# --- batch by batch -------------------------------------------------------------------------------


def history(rng: Random, name: str) -> list[Event]:
    """Answers to one inference, some of them revisions, some sent twice."""
    ids = [f"{name}-e{number}" for number in range(5)]
    made = [answer(rng, name, rng.choice(ids), ids) for _ in range(rng.choice((0, 1, 2, 3, 5, 9)))]
    return [each for each in made for _ in range(rng.choice((1, 1, 1, 2)))]


def answer(rng: Random, of: str, name: str, ids: Sequence[str]) -> Event:
    lags = (timedelta(0), MINUTE, 10 * MINUTE, HOUR, HOUR + MINUTE, HOUR + MINUTE)
    return event(rng, "feedback", kind="LABEL", level="INFERENCE") | {
        "event_id": name,
        "event_time": T0 + rng.choice(lags),
        "metric": METRIC,
        "inference_id": of,
        "value_num": None,
        "value_bool": None,
        "value_str": rng.choice(("yes", "yes", "no", "no", "maybe")),
        "op": rng.choice(("CREATE",) * 8 + ("UPDATE", "RETRACT")),
        "supersedes": rng.choice((None,) * 12 + (*ids,)),
        "rater_id": rng.choice(RATERS),
        "rater_kind": rng.choice(("EXPERT", "CROWD")),
        "rater_confidence": rng.choice((None, None, None, None, 1.0, 0.1, 0.0)),
        "solicit_prob": 0.5 if name.endswith(("1", "3")) else None,
    }


def output(name: str) -> Event:
    made: Event = dict.fromkeys(fields("InferenceEvent"))
    served_by = {"role": "PRIMARY", "status": "OK", "model_name": "m", "model_version": "1"}
    return made | served_by | {"inference_id": name, "event_time": T0}


ASKED = question(
    "label",
    positive="yes",
    negative="no",
    default="negative",
    consensus={
        "rule": "weighted",
        "raters": {"eve": 0, "ann": 0.3},
        "kinds": {"EXPERT": 0.3, "CROWD": 0.1},
        "by_confidence": True,
    },
)


def test_one_event_at_a_time_comes_to_what_the_batches_do(spark: SparkSession) -> None:
    rng = Random(9)
    names = [f"i{number}" for number in range(HISTORIES)]
    outputs = placed([output(name) for name in names], rng)
    answers = placed([said for name in names for said in history(rng, name)], rng)
    inferences = framed(spark, "InferenceEvent", outputs, LEAD)
    feedback = framed(spark, "FeedbackEvent", answers, LEAD)
    heard: list[Answer] = []
    rows: list[dict[str, Any]] = []
    for batch in BATCHES:
        for row in arrived(answers, batch):
            if row["batch_id"] == batch:  # one event at a time, in order of arrival
                heard += read(row, ASKED, MARKS[batch - 1])
        ledger = spark.createDataFrame([tuple(row[c] for c in KNOWN.names) for row in rows], KNOWN)
        news = additions(spark, inferences, feedback, ledger, ASKED, batch).toArrow().to_pylist()
        rows += [{"batch_id": batch, **row} for row in news]
        seen = [one for row in arrived(outputs, batch) if (one := served(row, ASKED)) is not None]
        wanted = known(seen, heard, ASKED, MARKS[batch])
        found = {name: row[:-2] for name, row in standing(rows).items()}
        # The time of an answer is told when something changed: not when another says the same.
        assert found == {name: said_of(vars(each))[:-2] for name, each in wanted.items()}
    states = {(row["state"], row["timing"]) for row in rows}
    amiss = {("TIED", "LATE"), ("TIED", "OUTSIDE"), ("POSITIVE", "LATE")}
    on_time = {(state, "ON_TIME") for state in ("POSITIVE", "NEGATIVE", "TIED", "RETRACTED")}
    assert states >= amiss | on_time | {("NEGATIVE", "DEFAULT")}
    tied = [row for row in rows if row["state"] == "TIED"]
    assert {(row["value"], row["reward"]) for row in tied} == {(None, None)}
    assert max(len(row["origins"]) for row in tied) > 3, "all raters' answers are kept"
