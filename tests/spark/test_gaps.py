"""Sessions without a name, told by pauses: the same in any order, and as pandas finds them."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from random import Random
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from processor.checks import check, defects
from processor.feedback import Question, attribution, question_of
from processor.loops import LoopConfig
from tests.answers import METRIC, T0, Event, fields, framed
from tests.spark.credits import LEAD, Credits, one_by_one, placed

MINUTE = timedelta(minutes=1)
GAP, WINDOW = 10 * MINUTE, 60 * MINUTE
SUBJECTS, OUTPUTS, ANSWERS = 30, 500, 300


def asked(**told: Any) -> Question:  # noqa: ANN401  # any key
    outcome: Event = {"metric": METRIC, "signal": "thumbs", "window": "1h", "level": "session"}
    outcome |= {"credit": {"rule": "uniform"}, "session_gap": "10m", **told}
    loop = LoopConfig.model_validate({"loop": "l", "model": "m", "outcome": outcome})
    return question_of(loop, loop.outcome)


def drawn(rng: Random) -> tuple[list[Event], list[Event]]:
    """Few moments, so that pauses of exactly the gap, and no pause at all, are common."""
    outputs, answers = [], []
    for number in range(OUTPUTS):
        made: Event = dict.fromkeys(fields("InferenceEvent"))
        made |= {"inference_id": f"i{number}", "event_time": moment(rng), "subject_key": who(rng)}
        made |= {"role": "PRIMARY", "status": "OK", "model_name": "m", "model_version": "1"}
        outputs.append(made)
    for number in range(ANSWERS):
        made = dict.fromkeys(fields("FeedbackEvent"))
        made |= {"event_id": f"e{number}", "event_time": moment(rng), "subject_key": who(rng)}
        made |= {"metric": METRIC, "level": "SESSION", "kind": "THUMBS", "value_bool": True}
        answers.append(made | {"source": "urn:page", "op": "CREATE"})
    return outputs, answers


def moment(rng: Random) -> Any:  # noqa: ANN401  # a time
    return T0 + rng.randrange(36) * 5 * MINUTE + rng.choice((0, 0, 1)) * timedelta(microseconds=1)


def who(rng: Random) -> str | None:
    return rng.choice((None, *(f"u{n}" for n in range(SUBJECTS))))


def by_pandas(outputs: list[Event], answers: list[Event]) -> Credits:
    """Sessions numbered by pandas; each answer evenly over what its session had so far."""
    frame = pd.DataFrame(outputs)[["inference_id", "event_time", "subject_key"]]
    frame = frame.dropna(subset=["subject_key"]).sort_values(["subject_key", "event_time"])
    pause = frame.groupby("subject_key")["event_time"].diff()
    frame["session"] = (pause.isna() | (pause > GAP)).cumsum()
    credit: Credits = {}
    for said in answers:
        before = frame[
            (frame["subject_key"] == said["subject_key"])
            & (frame["event_time"] <= said["event_time"])
        ]
        if before.empty or said["event_time"] - before["event_time"].iloc[-1] > GAP:
            continue
        mine = before[before["session"] == before["session"].iloc[-1]]
        mine = mine[mine["event_time"] >= said["event_time"] - WINDOW]
        credit |= {(said["event_id"], name): 1 / len(mine) for name in mine["inference_id"]}
    return credit


HISTORY = drawn(Random(5))
WANTED = by_pandas(*HISTORY)


@pytest.mark.parametrize("seed", range(3))
def test_credit_by_pauses_is_what_pandas_gives_however_events_arrive(
    spark: SparkSession, seed: int
) -> None:
    """In any order of arrival, any number of partitions, and with a part of them sent again."""
    rng, question = Random(seed), asked()
    outputs, answers = (placed([*rows, *rng.sample(rows, len(rows) // 5)], rng) for rows in HISTORY)
    frames = [
        framed(spark, record, rows, LEAD).repartition(seed + 1)
        for record, rows in (("InferenceEvent", outputs), ("FeedbackEvent", answers))
    ]
    seen = attribution.keyed(attribution.seen(frames[0], "m"), question)
    given = attribution.attribute(attribution.read(frames[1], question), seen, question)
    rows = given.select("event_id", "inference_id", "credit").toArrow().to_pylist()
    found = {(row["event_id"], row["inference_id"]): row["credit"] for row in rows}
    assert len(found) == len(rows)
    assert found == pytest.approx(WANTED, rel=1e-12)
    assert one_by_one(outputs, answers, question) == pytest.approx(WANTED, rel=1e-12)


def test_the_checks_keep_all_answers_but_those_of_nobody(spark: SparkSession) -> None:
    """A page that knows of no sessions names none, and its answers are valid all the same."""
    answers = placed(HISTORY[1], Random(2))
    frame = framed(spark, "FeedbackEvent", answers, LEAD)
    names = fields("FeedbackEvent")
    found = defects("FeedbackEvent", F.struct(*names), F.lit(T0 + GAP)).alias("defects")
    told = {row["event_id"]: row["defects"] for row in frame.select("event_id", found).collect()}
    for said in answers:
        codes = [defect["code"] for defect in told[said["event_id"]]]
        filled = {name: said[name] for name in names if said[name] is not None}
        assert codes == [defect.code for defect in check("FeedbackEvent", filled, T0 + GAP)]
        assert codes == ([] if said["subject_key"] else ["missing_session_id"])
    kept = [said for said in answers if not told[said["event_id"]]]
    outputs = placed(HISTORY[0], Random(3))
    assert one_by_one(outputs, kept, asked()) == pytest.approx(WANTED, rel=1e-12)
    assert not one_by_one(outputs, kept, asked(session_gap=None)), "by name, nothing is about them"


def test_the_world_has_what_is_asked_about() -> None:
    """Answers of one session and of several, long sessions that the window cuts, and none."""
    by_answer: dict[str, list[str]] = defaultdict(list)
    for said, name in WANTED:
        by_answer[said].append(name)
    sizes = {len(names) for names in by_answer.values()}
    assert {1, 2, 3} <= sizes
    assert 0 < len(by_answer) < ANSWERS
    outputs, answers = (placed(rows, Random(1)) for rows in HISTORY)
    for told in ({"session_gap": "100d"}, {"window": "3h"}):
        more = one_by_one(outputs, answers, asked(**told))
        assert len(more) > len(WANTED)


def test_a_late_output_joins_two_sessions_and_never_splits_one() -> None:
    rng, question = Random(9), asked()
    outputs, answers = (placed(rows, rng) for rows in HISTORY)
    some = one_by_one(outputs[::2], answers, question)
    every = one_by_one(outputs, answers, question)
    assert some.keys() < every.keys()
    assert any(every[pair] < share for pair, share in some.items())
