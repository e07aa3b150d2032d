"""Messages good and damaged in every known way, each with what fastavro says of it."""

from __future__ import annotations

import io
import json
import math
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import fastavro

from processor.avro import defects, framing
from processor.avro.contracts import contract
from processor.avro.framing import SchemaRef
from processor.avro.source import fingerprint

Body = dict[str, Any]
Schema = dict[str, Any]

GOOD = 500  # undamaged messages of each record
US_2100 = 4_102_444_800_000_000  # 2100-01-01 in microseconds
Headers = list[dict[str, Any]]


# --- writers --------------------------------------------------------------------------------------


def plain(schema: Any) -> Any:  # noqa: ANN401  # text, list or dict
    """A schema without logical types: times stay the numbers that they are."""
    if isinstance(schema, list):
        return [plain(branch) for branch in schema]
    if isinstance(schema, dict):
        return {k: plain(v) for k, v in schema.items() if k != "logicalType"}
    return schema


def newer(schema: Schema) -> Schema:
    """A producer ahead of us: a field and symbols that we do not know, fields in another order."""
    novelty = {"name": "novelty", "type": ["null", {"type": "map", "values": "long"}]}
    fields = [{**novelty, "default": None}, *reversed(schema["fields"])]
    for field in fields:
        kind = field["type"]
        if isinstance(kind, dict) and kind["type"] == "enum":
            kind["symbols"].insert(1, "FROM_THE_FUTURE")
    return {**schema, "fields": fields}


def older(schema: Schema) -> Schema:
    """A producer behind us: no optional field after the first of them."""
    kept = [f for f in schema["fields"] if "default" not in f or f["name"] in OLD_FIELDS]
    return {**schema, "fields": kept}


OLD_FIELDS = ("tags", "features_num", "task", "level", "kind", "ranking")
WRITERS: Mapping[str, Callable[[Schema], Schema]] = {
    "same": lambda schema: schema,
    "newer": newer,
    "older": older,
}


@dataclass(frozen=True)
class Writer:
    """A schema version, and the references it goes by: id, GUID and fingerprint."""

    schema: Schema
    number: int

    @property
    def text(self) -> str:
        return json.dumps(self.schema)

    @property
    def guid(self) -> uuid.UUID:
        return uuid.UUID(int=self.number)

    @property
    def refs(self) -> tuple[SchemaRef, ...]:
        return (
            SchemaRef(framing.CONFLUENT, str(self.number)),
            SchemaRef(framing.GUID, str(self.guid)),
            SchemaRef(framing.SINGLE, fingerprint(self.text)),
        )

    def confluent(self, body: bytes) -> tuple[bytes, Headers]:
        return b"\x00" + self.number.to_bytes(4, "big") + body, []

    def by_guid(self, body: bytes) -> tuple[bytes, Headers]:
        header = {"key": "__value_schema_id", "value": b"\x01" + self.guid.bytes}
        return body, [{"key": "ce_id", "value": b"x"}, header]

    def single(self, body: bytes) -> tuple[bytes, Headers]:
        return b"\xc3\x01" + bytes.fromhex(fingerprint(self.text)) + body, []

    def framings(self) -> tuple[Callable[[bytes], tuple[bytes, Headers]], ...]:
        return self.confluent, self.by_guid, self.single


def writers(record: str, first: int) -> dict[str, Writer]:
    return {
        name: Writer(make(contract(record).schema), first + n)
        for n, (name, make) in enumerate(WRITERS.items())
    }


# --- bodies ---------------------------------------------------------------------------------------


def value(rng: Random, schema: Any, named: dict[str, Any]) -> Any:  # noqa: ANN401  # any Avro value
    """A value of a schema, with the ends of each range often."""
    if isinstance(schema, list):
        return value(rng, rng.choice(schema), named)
    if isinstance(schema, str):
        return value(rng, named[schema], named) if schema in named else PRIMITIVES[schema](rng)
    kind = schema["type"]
    if schema.get("logicalType"):
        return rng.randrange(US_2100)
    if kind in ("enum", "record"):
        named[schema["name"]] = schema
    if kind == "enum":
        return rng.choice(schema["symbols"])
    if kind == "array":
        return [value(rng, schema["items"], named) for _ in range(rng.choice((0, 1, 3)))]
    if kind == "map":
        keys = [f"k{n}" for n in range(rng.choice((0, 1, 3)))]
        return {key: value(rng, schema["values"], named) for key in keys}
    if kind == "record":
        return {f["name"]: value(rng, f["type"], named) for f in schema["fields"]}
    return PRIMITIVES[kind](rng)


TEXTS = ("", "a", "Grüße 🙂", "x" * 70, '{"k": 1}', "\x00\x01")
PRIMITIVES: Mapping[str, Callable[[Random], Any]] = {
    "null": lambda _: None,
    "boolean": lambda rng: rng.random() < 0.5,
    "int": lambda rng: rng.choice((0, -1, 63, 64, 2**31 - 1, -(2**31))),
    "long": lambda rng: rng.choice((0, -1, 2**63 - 1, -(2**63), 8191)),
    "float": lambda rng: rng.choice((0.0, -1.5, math.inf, 3.25)),
    "double": lambda rng: rng.choice((0.0, -0.1, math.nan, math.inf, 1e300, 0.5)),
    "string": lambda rng: rng.choice(TEXTS),
}


def encoded(schema: Schema, body: Body) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(plain(schema)), body, strict=True)
    return out.getvalue()


def bodies(rng: Random, writer: Writer) -> Iterator[bytes]:
    while True:
        yield encoded(writer.schema, value(rng, plain(writer.schema), {}))


def oracle(body: bytes, writer: Writer, reader: Schema) -> tuple[Body | None, str | None]:
    """What fastavro makes of a body: the event, or why there is none."""
    source = io.BytesIO(body)
    try:
        found = fastavro.schemaless_reader(source, plain(writer.schema), plain(reader))
    except UnicodeDecodeError:
        return None, defects.INVALID_TEXT
    except (EOFError, IndexError, ValueError, OverflowError, MemoryError, TypeError):
        return None, defects.MALFORMED
    if source.tell() != len(body):
        return None, defects.LENGTH_MISMATCH
    return found, None  # type: ignore[return-value]  # a record is a dict


def canonical(body: bytes, writer: Writer) -> bool:
    """Whether a body is the one encoding of what it says; readers differ on the others."""
    try:
        said = fastavro.schemaless_reader(io.BytesIO(body), plain(writer.schema), None)
        return encoded(writer.schema, said) == body  # type: ignore[arg-type]  # a record is a dict
    except (EOFError, IndexError, ValueError, OverflowError, TypeError):
        return False


# --- messages -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """A log row's bytes, and what has to come of it: an event, or the code of one defect."""

    why: str
    value: bytes | None
    headers: Headers
    event: Body | None = None
    code: str | None = None


def judged(
    why: str, sent: tuple[bytes, Headers], body: bytes, writer: Writer, reader: Schema
) -> Message:
    event, code = oracle(body, writer, reader)
    return Message(why, *sent, event, code)


def good(rng: Random, by_name: Mapping[str, Writer], reader: Schema) -> Iterator[Message]:
    for name, writer in by_name.items():
        source = bodies(rng, writer)
        for number in range(GOOD // len(by_name)):
            body = next(source)
            framed_by = writer.framings()[number % 3]
            made = judged(f"good {name}", framed_by(body), body, writer, reader)
            assert made.event is not None
            yield made


def damaged(rng: Random, by_name: Mapping[str, Writer], reader: Schema) -> Iterator[Message]:
    """Ways in which bytes go wrong; what has to come of each is fastavro's to say."""
    for name, writer in by_name.items():
        source = bodies(rng, writer)
        short = min((next(source) for _ in range(30)), key=len)
        for end in range(len(short)):
            body = short[:end]
            yield judged("truncated", writer.confluent(body), body, writer, reader)
        for number in range(60):
            whole = next(source)
            frame = writer.framings()[number % 3]
            for why, body in _spoiled(rng, whole):
                if canonical(body, writer) or oracle(body, writer, reader)[1]:
                    yield judged(why, frame(body), body, writer, reader)
            other = rng.choice([w for n, w in by_name.items() if n != name])
            if canonical(whole, other) or oracle(whole, other, reader)[1]:
                yield judged("another version", other.confluent(whole), whole, other, reader)


def _spoiled(rng: Random, whole: bytes) -> Iterator[tuple[str, bytes]]:
    yield "extended", whole + rng.randbytes(rng.choice((1, 2, 16, 17)))
    yield "extended by zeros", whole + bytes(rng.choice((1, 16)))
    yield "said twice", whole + whole
    yield "random bytes", rng.randbytes(rng.choice((1, 8, 60)))
    yield "cut and filled", whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2)
    place = rng.randrange(len(whole))
    changed = whole[place] ^ rng.randrange(1, 256)
    yield "one byte changed", whole[:place] + bytes([changed]) + whole[place + 1 :]


UNKNOWN_ID = 999


def refused(rng: Random, writer: Writer, foreign: Writer) -> Iterator[Message]:
    """What is wrong before a body is looked at, and the code that each has to get."""
    starts = (framing.CONFLUENT_MAGIC, framing.SINGLE_MAGIC)  # a body may begin like a framing
    body = next(body for body in bodies(rng, writer) if not body.startswith(starts))
    stranger = Writer(writer.schema, UNKNOWN_ID)
    cases: list[tuple[str, bytes | None, Headers, str]] = [
        ("null", None, [], defects.TOMBSTONE),
        ("empty", b"", [], defects.EMPTY_VALUE),
        ("empty, with a GUID", *writer.by_guid(b""), defects.EMPTY_VALUE),
        ("no framing", body, [], defects.UNKNOWN_FRAMING),
        ("JSON", json.dumps({"event_id": "e"}).encode(), [], defects.UNKNOWN_FRAMING),
        ("half an id", b"\x00\x00\x00", [], defects.TRUNCATED_FRAME),
        ("half a fingerprint", b"\xc3\x01abc", [], defects.TRUNCATED_FRAME),
        ("unknown id", *stranger.confluent(body), defects.UNKNOWN_SCHEMA),
        ("unknown GUID", *stranger.by_guid(body), defects.UNKNOWN_SCHEMA),
        ("unknown print", b"\xc3\x01" + bytes(8) + body, [], defects.UNKNOWN_SCHEMA),
        ("another record's id", *foreign.confluent(body), defects.SCHEMA_INCOMPATIBLE),
        ("another record's GUID", *foreign.by_guid(body), defects.SCHEMA_INCOMPATIBLE),
    ]
    short = [{"key": "__value_schema_id", "value": b"\x01" + writer.guid.bytes[:-1]}]
    cases.append(("GUID too short", body, short, defects.UNKNOWN_FRAMING))
    for why, sent, headers, code in cases:
        yield Message(why, sent, headers, code=code)


def lengths_that_lie(writer: Writer) -> Iterator[Message]:
    """A few bytes that ask for gigabytes: a text, a map and an array, by the sizes they claim."""
    for size in (2**24, 2**28, 2**30, 2**31 - 20, 2**31, 2**40, 2**62):
        claim = _varint(size)
        for body in (claim + b"x", b"\x02x\x00\x02x\x02x\x00\x01" + claim + b"\x02x\x02x"):
            yield Message("a lie", *writer.confluent(body), code=defects.MALFORMED)


def _varint(number: int) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, {"type": "long"}, number)
    return out.getvalue()
