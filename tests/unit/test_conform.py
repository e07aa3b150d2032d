"""What producers hand over, as the record that Avro would carry; what does not fit is named."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import fastavro
import pytest

from processor.avro.conform import conform
from processor.avro.contracts import contract, records
from processor.avro.encode import encode
from processor.checks import Defect, check
from processor.errors import ConfigError

T0 = datetime(2024, 3, 1, 12, tzinfo=UTC)
EVENT: dict[str, Any] = {
    "event_id": "e",
    "event_time": T0,
    "source": "urn:app",
    "level": "INFERENCE",
    "inference_id": "i",
    "kind": "RATING",
    "metric": "helpful",
    "value_num": 4,
    "scale_min": 1.0,
    "scale_max": 5.0,
}
GOLDEN = Path(__file__).parents[1] / "contracts" / "golden"


def codes(event: dict[str, Any], **asked: Any) -> list[str]:  # noqa: ANN401  # what `check` takes
    return [each.code for each in check("FeedbackEvent", event, **asked)]


@pytest.mark.parametrize("record", records())
def test_a_golden_event_fits_its_contract_and_fastavro_agrees(record: str) -> None:
    schema = contract(record).schema
    parsed = fastavro.parse_schema(contract(record).schema)
    for path in sorted((GOLDEN / record).glob("*.json")):
        event = json.loads(path.read_text(encoding="utf-8"))["event"]
        found = conform(schema, event)
        assert found.misfits == ()
        assert fastavro.validate(found.record, parsed, strict=True)


def test_defaults_are_those_that_avro_puts_in() -> None:
    schema = contract("FeedbackEvent")
    encoded = encode({**EVENT, "value_num": 4.0}, schema.text, b"")
    assert encoded == encode(conform(schema.schema, EVENT).record, schema.text, b"")


@pytest.mark.parametrize(
    "said",
    [
        "2024-03-01T12:00:00Z",
        "2024-03-01 13:00:00+01:00",
        "2024-03-01T12:00",
        1709294400000000,
        datetime(2024, 3, 1, 12),  # noqa: DTZ001  # a time without a zone is what is tried
        datetime(2024, 3, 1, 7, tzinfo=timezone(timedelta(hours=-5))),
    ],
)
def test_a_time_may_be_said_in_several_ways(said: object) -> None:
    found = conform(contract("FeedbackEvent").schema, {**EVENT, "event_time": said})
    assert (found.record["event_time"], found.misfits) == (T0, ())


def test_unions_may_be_wrapped_as_avros_json_does() -> None:
    told = {
        **EVENT,
        "kind": "PREFERENCE",
        "value_num": {"double": 4.0},
        "inference_id": {"string": "i"},
        "preference": {
            "io.bfp.events.v1.Preference": {
                "a_id": "a",
                "b_id": "b",
                "outcome": "A",
                "margin": {"double": 1.0},
            }
        },
    }
    found = conform(contract("FeedbackEvent").schema, told)
    assert found.misfits == ()
    assert found.record["inference_id"] == "i"
    assert found.record["preference"]["margin"] == 1.0


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"metrics": "x"}, "no field metrics: did you mean 'metric'?"),
        ({"event_id": None}, "event_id is null, not string"),
        ({"value_num": "4"}, "value_num is the str '4', not double"),
        ({"value_num": True}, "value_num is the bool True, not double"),
        ({"value_num": 10**400}, f"value_num is the int {10**400}, not double"[:500]),
        ({"position": 2**31}, "position is the int 2147483648, not int"),
        ({"position": 1.0}, "position is the float 1.0, not int"),
        ({"value_bool": 1}, "value_bool is the int 1, not boolean"),
        ({"kind": "RATE"}, "kind is 'RATE': did you mean 'RATING'?"),
        ({"event_time": "noon"}, "event_time is the str 'noon', not a time"),
        ({"event_time": 10**18 * 5}, f"event_time is the int {5 * 10**18}, not a time"),
        ({"source": "\ud800"}, "source is the str '\\ud800', not string"),
        ({"tags": {"a": 1}}, "tags['a'] is the int 1, not string"),
        ({"tags": {1: "a"}}, "tags is the dict {1: 'a'}, not map"),
        ({"ranking": ["a", None]}, "ranking[1] is null, not string"),
        ({"preference": {"b_id": "b"}}, "preference.a_id is not there, and has no default"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[Any, Any], detail: str) -> None:
    (first, *_) = check("FeedbackEvent", {**EVENT, **change})
    assert first.detail == detail


def test_a_field_too_many_does_not_keep_the_rules_from_being_asked() -> None:
    assert codes({**EVENT, "metrics": "x", "value_num": 6}) == ["unknown_field", "value_off_scale"]
    assert codes({**EVENT, "position": "first", "value_num": 6}) == ["wrong_type"]


def test_the_clock_is_looked_at_only_where_it_is_given() -> None:
    assert codes(EVENT) == []
    assert codes(EVENT, stamp=T0 - timedelta(days=1)) == []
    assert codes(EVENT, stamp=T0 - timedelta(days=1, microseconds=1)) == ["clock_skew"]


def test_an_event_that_is_too_large_once_it_is_encoded() -> None:
    size = len(encode({**EVENT, "value_num": 4.0}, contract("FeedbackEvent").text, b"\xc3\x01" * 5))
    assert codes(EVENT, largest=size) == []
    assert codes(EVENT, largest=size - 1) == ["too_large"]


def test_nobody_sends_what_this_software_publishes() -> None:
    with pytest.raises(ConfigError, match="did you mean 'FeedbackEvent'"):
        check("Feedback", EVENT)
    with pytest.raises(ConfigError, match="RetrainingTrigger"):
        check("RetrainingTrigger", {})


def test_a_defect_says_what_is_wrong_in_words() -> None:
    assert check("FeedbackEvent", {**EVENT, "value_num": 5.5}) == [
        Defect("value_off_scale", "value_num 5.5 is outside [1.0, 5.0]")
    ]
