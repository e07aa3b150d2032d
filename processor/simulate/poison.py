"""Messages that are broken on purpose, each in a way that real producers break them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType

FRAME = 5  # bytes of Confluent's framing: a zero and the schema's id
NO_SUCH_SCHEMA = (2**31 - 1).to_bytes(4, "big")


def _truncated(encoded: bytes) -> bytes:
    return encoded[: len(encoded) // 2]


def _unknown_schema(encoded: bytes) -> bytes:
    return b"\0" + NO_SUCH_SCHEMA + encoded[FRAME:]


def _json(_encoded: bytes) -> bytes:
    return json.dumps({"prediction": True, "probability": 0.87}).encode()


def _empty(_encoded: bytes) -> bytes:
    return b""


POISON: Mapping[str, Callable[[bytes], bytes]] = MappingProxyType(
    {
        "truncated_avro": _truncated,
        "unknown_schema_id": _unknown_schema,
        "plain_json": _json,
        "empty_value": _empty,
    }
)


def spoil(kind: str, encoded: bytes) -> bytes:
    """What a broken producer sends in place of the well-formed `encoded`, framing included."""
    return POISON[kind](encoded)
