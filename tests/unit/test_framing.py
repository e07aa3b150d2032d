"""Every message is taken apart by its own bytes and headers, and nothing makes that fail."""

from __future__ import annotations

import struct
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.avro import defects
from processor.avro.framing import GUID_HEADER, Frame, SchemaRef, frame

GUID = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")
NAMED = (GUID_HEADER, b"\x01" + GUID.bytes)
bodies = st.binary(max_size=20)


@given(st.integers(0, 2**32 - 1), bodies)
def test_confluent(schema_id: int, body: bytes) -> None:
    value = struct.pack(">bI", 0, schema_id) + body
    assert frame(value) == Frame(SchemaRef("confluent", str(schema_id)), body)


@given(st.binary(min_size=8, max_size=8), bodies)
def test_single_object(mark: bytes, body: bytes) -> None:
    assert frame(b"\xc3\x01" + mark + body) == Frame(SchemaRef("single-object", mark.hex()), body)


@given(st.uuids(), bodies.filter(bool))
def test_a_guid_header_leaves_the_value_to_the_body(guid: uuid.UUID, body: bytes) -> None:
    headers = [("ce_id", b"x"), (GUID_HEADER, b"\x01" + guid.bytes)]
    assert frame(body, headers) == Frame(SchemaRef("guid", str(guid)), body)


def test_a_guid_header_wins_over_a_body_that_looks_framed() -> None:
    for value in (b"\x00\x00\x00\x00\x07rest", b"\xc3\x0112345678rest", b"\x00"):
        assert frame(value, [NAMED]) == Frame(SchemaRef("guid", str(GUID)), value)


@pytest.mark.parametrize("header", [None, b"", b"\x01short", b"\x00" + GUID.bytes, GUID.bytes])
def test_a_header_that_is_no_guid_is_passed_over(header: bytes | None) -> None:
    value = b"\x00\x00\x00\x00\x07rest"
    assert frame(value, [(GUID_HEADER, header)]).ref == SchemaRef("confluent", "7")


@pytest.mark.parametrize(
    ("value", "defect"),
    [
        (None, defects.TOMBSTONE),
        (b"", defects.EMPTY_VALUE),
        (b"\x00", defects.TRUNCATED_FRAME),
        (b"\x00\x00\x00\x01", defects.TRUNCATED_FRAME),
        (b"\xc3\x01", defects.TRUNCATED_FRAME),
        (b"\xc3\x011234567", defects.TRUNCATED_FRAME),
        (b"\xc3", defects.UNKNOWN_FRAMING),
        (b"\xc3\x0212345678", defects.UNKNOWN_FRAMING),
        (b'{"event_id": "x"}', defects.UNKNOWN_FRAMING),
    ],
)
def test_what_cannot_be_taken_apart_has_a_code(value: bytes | None, defect: str) -> None:
    assert frame(value) == Frame(defect=defect)


def test_a_null_or_empty_value_is_that_even_with_a_guid() -> None:
    assert frame(None, [NAMED]).defect == defects.TOMBSTONE
    assert frame(b"", [NAMED]).defect == defects.EMPTY_VALUE


def test_the_shortest_frames_have_an_empty_body() -> None:
    assert frame(b"\x00\x00\x00\x00\x01") == Frame(SchemaRef("confluent", "1"))
    assert frame(b"\xc3\x0112345678").body == b""


@given(st.none() | st.binary(max_size=30), st.lists(st.tuples(st.text(), st.none() | st.binary())))
def test_any_bytes_give_a_reference_or_a_known_defect(
    value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    found = frame(value, headers)
    assert (found.ref is None) != (found.defect is None)
    assert found.defect is None or found.defect in defects.MEANING
    if found.ref is not None:
        assert SchemaRef.parse(str(found.ref)) == found.ref


@given(st.binary(min_size=1, max_size=20), st.integers(1, 20))
def test_a_value_beyond_the_limit_is_not_looked_into(value: bytes, largest: int) -> None:
    found = frame(value, [NAMED], largest)
    assert (found == Frame(defect=defects.TOO_LARGE)) == (len(value) > largest)
