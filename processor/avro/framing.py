"""How a message says which schema wrote it: three framings, recognised record by record.

1. `__value_schema_id` header: 0x01 and a schema GUID of 16 bytes; the value is the body alone.
2. Confluent: 0x00, a schema id of 4 bytes (big-endian), the body.
3. Single-object encoding: 0xC3 0x01, a fingerprint (CRC-64-AVRO) of 8 bytes (little-endian), the
   body.

The same rules twice, here as plain Python and in `decode.py` as Spark columns; a test holds them
together.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from processor.avro import defects

GUID_HEADER = "__value_schema_id"
GUID_MAGIC = b"\x01"
GUID_BYTES = 17
CONFLUENT_MAGIC = b"\x00"
CONFLUENT_BYTES = 5
SINGLE_MAGIC = b"\xc3\x01"
SINGLE_BYTES = 10

LARGEST_RECORD = 16 << 20  # bytes of a value that is looked into
CONFLUENT, GUID, SINGLE = "confluent", "guid", "single-object"


@dataclass(frozen=True, order=True)
class SchemaRef:
    """A reference to a writer schema; as text `framing:key`, such as `confluent:12`."""

    framing: str
    key: str

    def __str__(self) -> str:
        return f"{self.framing}:{self.key}"

    @property
    def lead(self) -> bytes:
        """What stands for it in a message: what the value begins with, or the header's value.

        No two framings have leads of the same length.
        """
        if self.framing == CONFLUENT:
            return CONFLUENT_MAGIC + int(self.key).to_bytes(CONFLUENT_BYTES - 1, "big")
        if self.framing == GUID:
            return GUID_MAGIC + uuid.UUID(self.key).bytes
        return SINGLE_MAGIC + bytes.fromhex(self.key)

    @classmethod
    def of(cls, lead: bytes) -> SchemaRef:
        """The reference with that lead."""
        if len(lead) == CONFLUENT_BYTES:
            return cls(CONFLUENT, str(int.from_bytes(lead[1:], "big")))
        if len(lead) == GUID_BYTES:
            return cls(GUID, str(uuid.UUID(bytes=lead[1:])))
        return cls(SINGLE, lead[len(SINGLE_MAGIC) :].hex())

    @classmethod
    def parse(cls, text: str) -> SchemaRef:
        """The reference that `str` wrote."""
        framing, _, key = text.partition(":")
        return cls(framing, key)


@dataclass(frozen=True)
class Frame:
    """A message taken apart: either a reference and a body, or the code of a defect."""

    ref: SchemaRef | None = None
    body: bytes = b""
    defect: str | None = None


def frame(
    value: bytes | None,
    headers: Iterable[tuple[str, bytes | None]] = (),
    largest: int = LARGEST_RECORD,
) -> Frame:
    """Takes one message apart, of at most `largest` bytes; never fails."""
    if not value or len(value) > largest:
        return Frame(defect=_unframed(value))
    guid = next((v for k, v in headers if k == GUID_HEADER), None)
    if guid is not None and len(guid) == GUID_BYTES and guid[:1] == GUID_MAGIC:
        return Frame(SchemaRef.of(guid), value)
    if value[:1] == CONFLUENT_MAGIC:
        if len(value) < CONFLUENT_BYTES:
            return Frame(defect=defects.TRUNCATED_FRAME)
        return Frame(SchemaRef.of(value[:CONFLUENT_BYTES]), value[CONFLUENT_BYTES:])
    if value[:2] == SINGLE_MAGIC:
        if len(value) < SINGLE_BYTES:
            return Frame(defect=defects.TRUNCATED_FRAME)
        return Frame(SchemaRef.of(value[:SINGLE_BYTES]), value[SINGLE_BYTES:])
    return Frame(defect=defects.UNKNOWN_FRAMING)


def _unframed(value: bytes | None) -> str:
    """Why there is nothing to take apart."""
    if value is None:
        return defects.TOMBSTONE
    return defects.TOO_LARGE if value else defects.EMPTY_VALUE
