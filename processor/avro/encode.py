"""Encoding what this software says: a reference to the schema, then the body."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import fastavro
from fastavro.types import Schema

from processor.avro.framing import CONFLUENT_MAGIC, SINGLE_MAGIC
from processor.avro.source import fingerprint

ID_BYTES = 4


def by_id(schema_id: int) -> bytes:
    """What stands before a body whose schema a registry has: Confluent's framing."""
    return CONFLUENT_MAGIC + schema_id.to_bytes(ID_BYTES, "big")


def by_fingerprint(text: str) -> bytes:
    """What stands before a body where there is no registry: single-object encoding."""
    return SINGLE_MAGIC + bytes.fromhex(fingerprint(text))


def encode(body: Mapping[str, Any], text: str, reference: bytes) -> bytes:
    """The value of an event; a field that `body` leaves out takes the default of the schema."""
    out = io.BytesIO()
    out.write(reference)
    fastavro.schemaless_writer(out, _parsed(text), dict(body))
    return out.getvalue()


@cache
def _parsed(text: str) -> Schema:
    return fastavro.parse_schema(json.loads(text))
