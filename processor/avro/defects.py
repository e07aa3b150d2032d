"""Why a message could not be read: codes that stay the same for ever."""

from __future__ import annotations

TOMBSTONE = "tombstone"
EMPTY_VALUE = "empty_value"
TOO_LARGE = "too_large"
UNKNOWN_FRAMING = "unknown_framing"
TRUNCATED_FRAME = "truncated_frame"
UNKNOWN_SCHEMA = "unknown_schema"
SCHEMA_UNAVAILABLE = "schema_unavailable"
SCHEMA_REFUSED = "schema_refused"
SCHEMA_INCOMPATIBLE = "schema_incompatible"
MALFORMED = "malformed"
LENGTH_MISMATCH = "length_mismatch"
INVALID_TEXT = "invalid_text"

MEANING = {
    TOMBSTONE: "the value is null",
    EMPTY_VALUE: "the value has no bytes",
    TOO_LARGE: "the value has more bytes than limits.record_bytes",
    UNKNOWN_FRAMING: "no known framing: not Avro, or Avro without a schema reference",
    TRUNCATED_FRAME: "the value ends inside its schema reference",
    UNKNOWN_SCHEMA: "the schema it names is not known",
    SCHEMA_UNAVAILABLE: "the schema it names is not kept here, and the registry does not answer",
    SCHEMA_REFUSED: "the schema it names goes beyond the limits on schemas",
    SCHEMA_INCOMPATIBLE: "the schema it names cannot be read as this topic's record",
    MALFORMED: "the body does not decode with the schema it names",
    LENGTH_MISMATCH: "the body goes on after the end of the record",
    INVALID_TEXT: "a string in the body is not UTF-8",
}
