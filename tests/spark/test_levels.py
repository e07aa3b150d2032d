"""Answers about a candidate, a request or an episode: as plain Python and the one-event form say.

Those about one inference or a session are in `test_attribution`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest
from pyspark.sql import SparkSession

from processor.feedback import Question
from processor.feedback.question import CREDIT_RULES
from tests.answers import METRIC, T0, Event, event, fields
from tests.spark.credits import (
    MINUTE,
    PARAMS,
    Credits,
    credited,
    one_by_one,
    oracle,
    placed,
    question,
    visible,
)

GROUPS, ANSWERS = 100, 10
CANDIDATES = ("c1", "c2", "c3")
NOBODY = "nobody"


def by_episode(rule: str) -> Question:
    return question("thumbs", level="episode", credit={"rule": rule, **PARAMS.get(rule, {})})


BY_CANDIDATE = question("thumbs", level="candidate")
BY_REQUEST = question("ground_truth", level="request")


# --- by hand --------------------------------------------------------------------------------------


def output(name: str, minute: int, **told: Any) -> Event:  # noqa: ANN401  # any field
    made: Event = dict.fromkeys(fields("InferenceEvent"))
    made |= {"inference_id": name, "event_time": T0 + minute * MINUTE, "model_name": "m"}
    made |= {"role": "PRIMARY", "status": "OK", "request_id": "r", "episode_id": "p"}
    return made | listed("c1", "c2") | told


def listed(*names: str) -> Event:
    return {"candidates": [{"candidate_id": name, "rank": n} for n, name in enumerate(names)]}


OUTPUTS = [
    output("served", 0, shown_candidate_id="c1"),
    output("canary", 10, role="CANARY"),
    output("shadow", 10, role="SHADOW"),
    output("failed", 10, status="ERROR"),
    output("of another", 10, model_name="another"),
    output("elsewhere", 20, request_id="q", episode_id="o", candidates=[]),
]


def thumb(name: str, level: str, **told: Any) -> Event:  # noqa: ANN401  # any field
    made: Event = dict.fromkeys(fields("FeedbackEvent"))
    made |= {"event_id": name, "event_time": T0 + 30 * MINUTE, "level": level, "metric": METRIC}
    return made | {"kind": "THUMBS", "value_bool": True, "op": "CREATE"} | told


def truth(name: str, request: str) -> Event:
    made: Event = dict.fromkeys(fields("GroundTruth"))
    made |= {"event_id": name, "event_time": T0 + 30 * MINUTE, "entity_key": request}
    return made | {"metric": METRIC, "value_bool": True, "op": "CREATE"}


def about(inference: str, candidate: str | None) -> Event:
    said = thumb(f"{candidate} of {inference}", "CANDIDATE")
    return said | {"inference_id": inference, "candidate_id": candidate}


BY_HAND: Mapping[str, tuple[Question, list[Event], Credits]] = {
    "candidate": (
        BY_CANDIDATE,
        [
            about("served", "c1"),
            about("served", "c2"),  # a candidate that nobody was shown
            about("canary", "c2"),  # it does not say which one was shown
            about("canary", "c3"),
            about("canary", None),
            about("elsewhere", "c1"),
            *(about(name, "c1") for name in ("shadow", "failed", "of another", NOBODY)),
        ],
        {("c1 of served", "served"): 1.0, ("c2 of canary", "canary"): 1.0},
    ),
    "request": (
        BY_REQUEST,
        [truth("one", "r"), truth("other", "q"), truth("unheard of", NOBODY), truth("none", "")],
        {("one", "served"): 1.0, ("one", "canary"): 1.0, ("other", "elsewhere"): 1.0},
    ),
    "episode": (
        by_episode("uniform"),
        [
            thumb("both", "EPISODE", episode_id="p"),
            thumb("early", "EPISODE", episode_id="p", event_time=T0 + 9 * MINUTE),
            thumb("too early", "EPISODE", episode_id="p", event_time=T0 - MINUTE),
            thumb("other", "EPISODE", episode_id="o"),
            thumb("unheard of", "EPISODE", episode_id=NOBODY),
            thumb("none", "EPISODE", episode_id=""),
            thumb("of a session", "SESSION", episode_id="p", session_id="p"),
        ],
        {
            ("both", "served"): 0.5,
            ("both", "canary"): 0.5,
            ("early", "served"): 1.0,
            ("other", "elsewhere"): 1.0,
        },
    ),
}


@pytest.mark.parametrize("level", sorted(BY_HAND))
def test_an_answer_is_about_what_someone_saw_of_its_level_and_nothing_else(
    spark: SparkSession, level: str
) -> None:
    asked, events, wanted = BY_HAND[level]
    outputs, events = (placed(rows, Random(1)) for rows in (OUTPUTS, events))
    assert credited(spark, outputs, events, asked) == wanted
    assert one_by_one(outputs, events, asked) == wanted


# --- by chance ------------------------------------------------------------------------------------


def drawn(rng: Random) -> tuple[list[Event], list[Event], list[Event]]:
    """Outputs, feedback and truths, a part of them sent again; few names, and some of nobody."""
    outputs, feedback, truths = [], [], []
    for group in range(GROUPS):
        outputs += [an_output(rng, group) for _ in range(rng.randrange(12))]
        feedback += [an_answer(rng, group, number) for number in range(ANSWERS)]
        truths += [a_truth(rng, group, number) for number in range(3)]
    again = (rows + rng.sample(rows, len(rows) // 5) for rows in (outputs, feedback, truths))
    outputs, feedback, truths = (placed(rows, rng) for rows in again)
    return outputs, feedback, truths


def named(rng: Random, group: int, kind: str, *others: str | None) -> str | None:
    return rng.choice((*2 * [f"{group}-{kind}0", f"{group}-{kind}1"], *others))


def an_output(rng: Random, group: int) -> Event:
    """One of few ids: what comes under the same id again may say something else."""
    made: Event = dict.fromkeys(fields("InferenceEvent"))
    at = T0 + rng.choice((0, 1, 10, 20, 60)) * MINUTE
    ids = rng.sample(CANDIDATES, rng.choice((0, 2, 2, 3)))
    return made | {
        "inference_id": f"{group}-i{rng.randrange(4)}",
        "event_time": at,
        "response_time": rng.choice((None, at, at + MINUTE)),
        "request_id": named(rng, group, "r", None, ""),
        "episode_id": named(rng, group, "p", None, ""),
        "session_id": named(rng, group, "s"),
        "role": rng.choice(("PRIMARY", "PRIMARY", "PRIMARY", "CANARY", "SHADOW")),
        "status": rng.choice((*["OK"] * 5, "ERROR")),
        "model_name": rng.choice((*"mmmmm", "another")),
        **listed(*ids),
        "shown_candidate_id": rng.choice((None, *ids)),
    }


def an_answer(rng: Random, group: int, number: int) -> Event:
    """It may revise another of its group; a few revise each other in a circle."""
    level = rng.choice(("CANDIDATE", "CANDIDATE", "EPISODE", "EPISODE", "SESSION", "INFERENCE"))
    return event(rng, "feedback", kind="THUMBS", level=level, metric=METRIC, value_bool=True) | {
        "event_id": f"{group}-e{number}",
        "event_time": T0 + rng.choice((0, 1, 15, 30, 60, 60, 70, 120)) * MINUTE,
        "inference_id": named(rng, group, "i", None, NOBODY),
        "candidate_id": rng.choice((None, "", *4 * CANDIDATES)),
        "episode_id": named(rng, group, "p", None, "", NOBODY),
        "session_id": named(rng, group, "s"),
        "supersedes": rng.choice((*[None] * ANSWERS, *(f"{group}-e{n}" for n in range(ANSWERS)))),
    }


def a_truth(rng: Random, group: int, number: int) -> Event:
    """Its inference_id is of another level, and says nothing."""
    return event(rng, "ground_truth", metric=METRIC, value_bool=True) | {
        "event_id": f"{group}-t{number}",
        "inference_id": named(rng, group, "i"),
        "entity_key": named(rng, group, "r", None, "", NOBODY),
    }


SENT = drawn(Random(7))
NAMED_BY = {"request_id": "entity_key", "episode_id": "episode_id"}


def of_candidates(outputs: Sequence[Event], feedback: Sequence[Event]) -> Credits:
    """By the guide: its inference, if it showed that candidate, or any of those it may have."""
    seen = {one["inference_id"]: one for one in visible(outputs)}
    credit: Credits = {}
    for said in feedback:
        one = seen.get(said["inference_id"])
        if said["level"] != "CANDIDATE" or one is None:
            continue
        shown = {each["candidate_id"] for each in one["candidates"]}
        if one["shown_candidate_id"] is not None:
            shown = {one["shown_candidate_id"]}
        if said["candidate_id"] in shown:
            credit[said["event_id"], one["inference_id"]] = 1.0
    return credit


def of_requests(outputs: Sequence[Event], truths: Sequence[Event]) -> Credits:
    """By the guide: whole for each output of its request."""
    return {
        (said["event_id"], one["inference_id"]): 1.0
        for said in truths
        for one in visible(outputs)
        if said["entity_key"] and one["request_id"] == said["entity_key"]
    }


def test_answers_about_candidates_are_what_plain_python_gives(spark: SparkSession) -> None:
    outputs, feedback, _ = SENT
    wanted = of_candidates(outputs, feedback)
    assert credited(spark, outputs, feedback, BY_CANDIDATE) == wanted
    assert one_by_one(outputs, feedback, BY_CANDIDATE) == wanted
    assert set(wanted.values()) == {1.0}
    hidden = [one | {"shown_candidate_id": None} for one in outputs]
    assert wanted.keys() < of_candidates(hidden, feedback).keys(), "some were not shown"


def test_truths_about_requests_are_what_plain_python_gives(spark: SparkSession) -> None:
    outputs, _, truths = SENT
    wanted = of_requests(outputs, truths)
    found = credited(spark, outputs, truths, BY_REQUEST)
    assert found == wanted
    assert one_by_one(outputs, truths, BY_REQUEST) == wanted
    assert set(wanted.values()) == {1.0}
    assert len({said for said, _ in wanted}) < len(wanted), "a request has several outputs"
    assert_no_shadow_has_any(found, outputs, truths, "request_id")


@pytest.mark.parametrize("rule", sorted(rule.name for rule in CREDIT_RULES))
def test_answers_about_episodes_are_what_plain_python_gives(spark: SparkSession, rule: str) -> None:
    outputs, feedback, _ = SENT
    asked, wanted = by_episode(rule), oracle(outputs, feedback, rule, "episode")
    found = credited(spark, outputs, feedback, asked)
    assert found == pytest.approx(wanted, rel=1e-12)
    assert one_by_one(outputs, feedback, asked) == pytest.approx(wanted, rel=1e-12)
    assert_whole(found)
    assert_no_shadow_has_any(found, outputs, feedback, "episode_id")


def assert_no_shadow_has_any(
    found: Credits, outputs: Sequence[Event], events: Sequence[Event], key: str
) -> None:
    """Though some share what was answered with those that have."""
    seen, said = {one["inference_id"] for one in visible(outputs)}, {name for name, _ in found}
    hidden = [o for o in outputs if o["role"] == "SHADOW" and o["inference_id"] not in seen]
    assert {one["inference_id"] for one in hidden}.isdisjoint(name for _, name in found)
    named = NAMED_BY[key]
    assert {one[key] for one in hidden} & {e[named] for e in events if e["event_id"] in said}


def assert_whole(found: Credits) -> None:
    """Each answer is given once, wholly."""
    sums: dict[str, float] = {}
    for (said, _), credit in found.items():
        sums[said] = sums.get(said, 0.0) + credit
    assert sums == dict.fromkeys(sums, pytest.approx(1, abs=1e-12))
