"""What is said about a world: in order of time, each thing where it belongs."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from processor.resources import resource
from processor.simulate import answers
from processor.simulate.census import YEARS, new_year
from processor.simulate.message import Message
from processor.simulate.poison import POISON, spoil
from processor.simulate.timeline import POISON_ANSWERS, POISON_INFERENCES, Timeline

PERSONS = 5000
EVER = (new_year(2016), new_year(2030))


@pytest.fixture(scope="module")
def census() -> pa.Table:
    return pq.read_table(resource("data", "employment_ma.parquet"))


@pytest.fixture(scope="module")
def timeline(census: pa.Table) -> Timeline:
    return Timeline.of(census, YEARS, 3, PERSONS)


@pytest.fixture(scope="module")
def said(timeline: Timeline) -> list[Message]:
    return list(timeline.between(*EVER))


def test_messages_come_in_order_and_as_many_as_counted(
    timeline: Timeline, said: list[Message]
) -> None:
    times = [message.timestamp for message in said]
    assert times == sorted(times)
    assert len(said) == timeline.count(*EVER)


def test_years_cut_the_timeline_without_loss(timeline: Timeline, said: list[Message]) -> None:
    bounds = [new_year(year) for year in (*YEARS, 2019, 2030)]
    cut = [m for a, b in pairwise(bounds) for m in timeline.between(a, b)]
    assert cut == said
    assert timeline.count(new_year(2019), new_year(2030)) > 0


def test_every_person_is_a_session_and_an_inference(said: list[Message]) -> None:
    good = Counter(message.record for message in said if message.poison is None)
    assert good["SessionContext"] == good["InferenceEvent"] == len(YEARS) * PERSONS
    assert good["FeatureMetadata"] == 1
    assert good["ModelLifecycle"] == 2


def test_answers_are_said_as_the_truth_has_it(timeline: Timeline, said: list[Message]) -> None:
    truth = {row["inference_id"]: row for row in timeline.truth.to_pylist()}
    given: dict[str, list[Message]] = {}
    for message in said:
        if message.record == "GroundTruth" and message.poison is None:
            given.setdefault(message.key, []).append(message)
    for inference_id, row in truth.items():
        found = given.get(inference_id, [])
        assert bool(found) == (row["answer"] != answers.NEVER)
        if found:
            assert found[-1].body["value_bool"] == row["employed"]
            assert found[0].timestamp == row["known_at"] == found[0].body["known_time"]
            assert found[0].body["event_time"] == row["happened_at"]
            assert found[0].body["event_time"] >= row["response_time"]


def test_the_odd_answers_are_duplicates_and_corrections(said: list[Message]) -> None:
    answered = [m for m in said if m.record == "GroundTruth" and m.poison is None]
    ids = Counter(message.body["event_id"] for message in answered)
    resent = {event_id for event_id, times in ids.items() if times == 2}
    assert resent
    assert max(ids.values()) == 2
    first = {m.body["event_id"]: m for m in answered if "op" not in m.body}
    corrections = [m for m in answered if m.body.get("op") == "UPDATE"]
    assert corrections
    for message in corrections:
        wrong = first[message.body["supersedes"]]
        assert wrong.body["value_bool"] is not message.body["value_bool"]
        assert wrong.key == message.key
        assert wrong.timestamp < message.timestamp


def test_every_year_has_its_poison(said: list[Message]) -> None:
    found = Counter((m.record, m.poison) for m in said if m.poison is not None)
    for kind in POISON:
        assert found["InferenceEvent", kind] == POISON_INFERENCES * len(YEARS)
    for kind in POISON_ANSWERS:
        assert found["GroundTruth", kind] == len(YEARS)


def test_ids_of_events_are_their_own(said: list[Message]) -> None:
    by_id: dict[str, set[str]] = {}
    for message in said:
        by_id.setdefault(message.body["event_id"], set()).add(message.record)
    assert all(len(records) == 1 for records in by_id.values())
    once = [m.body["event_id"] for m in said if m.record != "GroundTruth"]
    assert len(set(once)) == len(once)


def test_poison_is_broken_in_the_way_it_says() -> None:
    encoded = b"\0\0\0\0\1" + bytes(range(100))
    assert spoil("truncated_avro", encoded) == encoded[:52]
    assert spoil("unknown_schema_id", encoded) == b"\0\x7f\xff\xff\xff" + encoded[5:]
    assert spoil("plain_json", encoded).startswith(b"{")
    assert spoil("empty_value", encoded) == b""
