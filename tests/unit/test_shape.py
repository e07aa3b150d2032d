"""Writer schemas that are small and stand for too much are refused; contracts are not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from processor.avro.contracts import records, shipped
from processor.avro.shape import MOST_TYPES, refusal
from processor.config import LimitsConfig

LIMITS = LimitsConfig()
Kind = str | dict[str, Any] | list[Any]


def record(name: str, *types: Kind, **more: str) -> dict[str, Any]:
    fields = [{"name": f"f{n}", "type": kind} for n, kind in enumerate(types)]
    return {"type": "record", "name": name, "fields": fields, **more}


def nested(depth: int) -> Kind:
    """A type of exactly so many types inside each other."""
    return {"type": "array", "items": nested(depth - 1)} if depth > 1 else "long"


def doubling(times: int) -> dict[str, Any]:
    """Records of which each holds the one before twice: 2 to the power of `times` in the end."""
    kind: Any = "int"
    for number in range(times):
        kind = record(f"R{number}", kind, f"R{number - 1}" if number else "int")
    return kind  # type: ignore[no-any-return]  # a record


def why(schema: Kind) -> str:
    return refusal(json.dumps(schema), LIMITS) or ""


@pytest.mark.parametrize("name", records())
def test_every_contract_that_was_shipped_is_within_the_limits(name: str) -> None:
    assert [refusal(text, LIMITS) for text in shipped(name).values()] == [None] * len(shipped(name))


def test_depth_is_counted_to_the_type() -> None:
    assert why(nested(LIMITS.schema_depth)) == ""
    assert "deeper" in why(nested(LIMITS.schema_depth + 1))
    assert "deeper" in why(record("A", record("B", nested(LIMITS.schema_depth - 1))))


def test_depth_is_counted_through_names() -> None:
    chain = [record("R0", "int")]
    chain += [record(f"R{n}", f"R{n - 1}") for n in range(1, LIMITS.schema_depth)]
    assert "deeper" in why(record("All", *chain))
    assert why(record("All", *chain[:-2])) == ""


@pytest.mark.parametrize("depth", [500, 5_000, 50_000])
def test_a_schema_too_deep_to_be_parsed_is_refused(depth: int) -> None:
    text = '{"type":"array","items":' * depth + '"int"' + "}" * depth
    assert refusal(text, LimitsConfig(schema_bytes=1 << 30))


@pytest.mark.parametrize(
    "schema",
    [
        record("A", ["null", "A"]),
        record("A", record("B", {"type": "map", "values": "A"})),
        record("A", {"type": "array", "items": "x.A"}, namespace="x"),
        record("x.A", record("A", "x.A", namespace="y")),
    ],
)
def test_a_record_that_holds_itself_is_refused(schema: Kind) -> None:
    assert "holds itself" in why(schema)


def test_the_same_name_in_another_namespace_is_another_type() -> None:
    assert why(record("x.A", record("y.A", "int"), "y.A")) == ""


def test_names_that_double_are_counted_where_they_are_used() -> None:
    assert why(doubling(8)) == ""
    assert f"more than {MOST_TYPES:,} types" in why(doubling(40))


@pytest.mark.parametrize("empty", ["null", record("E"), record("E", "null", record("F"))])
def test_items_without_bytes_are_refused(empty: Kind) -> None:
    assert "no bytes" in why({"type": "array", "items": empty})
    assert why({"type": "map", "values": empty}) == ""
    assert why({"type": "array", "items": ["null", empty] if empty != "null" else ["null"]}) == ""


@pytest.mark.parametrize("text", ["", "{", "{}", "[1]", '{"type": "record"}', "null", "7"])
def test_what_is_no_schema_is_refused_and_raises_nothing(text: str) -> None:
    assert "not an Avro schema" in (refusal(text, LIMITS) or "")


def test_the_size_of_the_text_is_bounded() -> None:
    text = json.dumps("int")
    assert refusal(text, LimitsConfig(schema_bytes=len(text))) is None
    assert "schema_bytes" in (refusal(text, LimitsConfig(schema_bytes=len(text) - 1)) or "")
