"""The gate finds each kind of change that breaks a producer or a reader, and lets others pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from processor.avro.compatibility import BACKWARD, FORWARD, RULE, check, findings, unreadable

Schema = dict[str, Any]
Change = Callable[[Schema], object]

KIND = {"type": "enum", "name": "Kind", "symbols": ["UNKNOWN", "A", "B"], "default": "UNKNOWN"}
PART = {"type": "record", "name": "Part", "fields": [{"name": "x", "type": "double"}]}
TIME = {"type": "long", "logicalType": "timestamp-micros"}


def base() -> Schema:
    fields = [
        {"name": "id", "type": "string"},
        {"name": "at", "type": TIME},
        {"name": "n", "type": ["null", "int"], "default": None},
        {"name": "kind", "type": KIND, "default": "UNKNOWN"},
        {"name": "parts", "type": {"type": "array", "items": PART}, "default": []},
        {"name": "sizes", "type": {"type": "map", "values": "long"}, "default": {}},
    ]
    made: Schema = json.loads(
        json.dumps({"type": "record", "name": "Event", "namespace": "t.v1", "fields": fields})
    )
    return made


def field(schema: Schema, name: str) -> Schema:
    found: Schema = next(f for f in schema["fields"] if f["name"] == name)
    return found


def add(**new: object) -> Change:
    return lambda s: s["fields"].append(new)


def drop(name: str) -> Change:
    return lambda s: s["fields"].remove(field(s, name))


def put(name: str, /, **values: object) -> Change:
    return lambda s: field(s, name).update(values)


def part_of(schema: Schema) -> Schema:
    inner: Schema = field(schema, "parts")["type"]["items"]
    return inner


BREAKING: dict[str, tuple[Change, set[str]]] = {
    "another type": (put("id", type="long"), {BACKWARD, FORWARD}),
    "wider": (put("n", type=["null", "long"]), {FORWARD}),
    "narrower": (put("sizes", type={"type": "map", "values": "int"}), {BACKWARD}),
    "null no longer": (put("n", type="int", default=0), {BACKWARD}),
    "null from now on": (put("id", type=["null", "string"], default=None), {FORWARD}),
    "field gone that had no default": (drop("id"), {FORWARD}),
    "field renamed": (put("id", name="ident"), {BACKWARD, FORWARD, RULE}),
    "field new without default": (add(name="new", type="string"), {BACKWARD, RULE}),
    "inner field new without default": (
        lambda s: part_of(s)["fields"].append({"name": "y", "type": "int"}),
        {BACKWARD},
    ),
    "inner field of another type": (
        lambda s: part_of(s)["fields"][0].update(type="string"),
        {BACKWARD, FORWARD},
    ),
    "record renamed": (lambda s: s.update(name="Events"), {BACKWARD, FORWARD}),
    "namespace moved": (lambda s: s.update(namespace="t.v2"), {BACKWARD, FORWARD}),
    "array became map": (
        put("parts", type={"type": "map", "values": PART}, default={}),
        {BACKWARD, FORWARD},
    ),
    "not Avro": (put("id", type="strnig"), {BACKWARD, FORWARD}),
}
HOUSE: dict[str, Change] = {
    "union of three": add(name="u", type=["null", "int", "string"], default=None),
    "null last": add(name="u", type=["int", "null"], default=0),
    "null last, inside": add(
        name="u", type={"type": "array", "items": ["int", "null"]}, default=[]
    ),
    "enum without UNKNOWN": add(
        name="e",
        type={"type": "enum", "name": "E", "symbols": ["A", "UNKNOWN"], "default": "UNKNOWN"},
        default="A",
    ),
    "enum without default": add(
        name="e", type={"type": "enum", "name": "E", "symbols": ["UNKNOWN"]}, default="UNKNOWN"
    ),
    "time in milliseconds": add(
        name="m", type={"type": "long", "logicalType": "timestamp-millis"}, default=0
    ),
}
ALLOWED: dict[str, Change] = {
    "field new with default": add(name="new", type="string", default=""),
    "field gone that had a default": drop("sizes"),
    "a symbol more": lambda s: field(s, "kind")["type"]["symbols"].append("C"),
    "documentation": lambda s: s.update(doc="what it is"),
}


def found(change: Change, versions: dict[int, Schema] | None = None) -> list[tuple[str, int, str]]:
    """What the gate says of a changed contract, but for that it was not shipped yet."""
    schema = base()
    change(schema)
    old = {n: json.dumps(s) for n, s in (versions or {1: base()}).items()}
    said = check("Event", json.dumps(schema), old)
    assert [f.why for f in said if "differs" in f.why] == [
        f"it differs from the last shipped version: add it as Event/{max(old) + 1}.avsc"
    ]
    return [(f.direction, f.version, f.why) for f in said if "differs" not in f.why]


@pytest.mark.parametrize("name", BREAKING)
def test_a_breaking_change_is_found_in_its_direction(name: str) -> None:
    change, directions = BREAKING[name]
    said = found(change)
    assert {direction for direction, _, _ in said} == directions
    assert {version for _, version, _ in said} == {1}


@pytest.mark.parametrize("name", HOUSE)
def test_a_broken_house_rule_is_found(name: str) -> None:
    assert RULE in {direction for direction, version, _ in found(HOUSE[name]) if version == 0}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_breaks_nothing_passes(name: str) -> None:
    assert found(ALLOWED[name]) == []


def test_every_shipped_version_counts_not_only_the_last() -> None:
    older, newer = base(), base()
    add(name="old", type="string")(older)
    said = found(add(name="new", type="string", default=""), {1: older, 2: newer})
    assert [(direction, version) for direction, version, _ in said] == [(FORWARD, 1)]


def test_what_was_shipped_as_it_is_has_no_finding_and_what_was_not_has_one() -> None:
    text = json.dumps(base())
    assert check("Event", text, {1: text}) == []
    (only,) = check("Event", text, {})
    assert only.why.endswith("Event/1.avsc")


def test_the_contracts_may_be_released() -> None:
    assert findings() == []


def test_a_schema_that_is_no_record_is_named() -> None:
    assert unreadable(json.dumps(base()), '"string"') == "it writes t.v1.Event, not string"
