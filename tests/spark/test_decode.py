"""Strict decoding on the JVM, against fastavro: the same events, and the same refusals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from processor.avro import defects, framing
from processor.avro.contracts import contract
from processor.avro.decode import decode, framed
from processor.avro.framing import SchemaRef
from processor.avro.source import Missing, Resolved
from tests.spark.messages import (
    UNKNOWN_ID,
    Body,
    Message,
    Writer,
    damaged,
    good,
    lengths_that_lie,
    refused,
    writers,
)

SEED = 11
LARGEST = 100_000  # bytes of a value that is looked into
OF_SCHEMAS = {998: defects.SCHEMA_UNAVAILABLE, 997: defects.SCHEMA_REFUSED}
RECORDS = ("InferenceEvent", "FeedbackEvent")
LOG = pa.schema(
    {
        "topic": pa.string(),
        "partition": pa.int32(),
        "offset": pa.int64(),
        "value": pa.binary(),
        "headers": pa.list_(pa.struct({"key": pa.string(), "value": pa.binary()})),
    }
)


def log(spark: SparkSession, messages: Iterable[Message]) -> DataFrame:
    rows = [
        {"topic": "t", "partition": n % 3, "offset": n, "value": m.value, "headers": m.headers}
        for n, m in enumerate(messages)
    ]
    made: DataFrame = spark.createDataFrame(pa.Table.from_pylist(rows, LOG))
    return made


def schemas(*known: Writer) -> dict[SchemaRef, Resolved | Missing]:
    found: dict[SchemaRef, Resolved | Missing] = {
        ref: Resolved(writer.text) for writer in known for ref in writer.refs
    }
    gone = Writer({"type": "string"}, UNKNOWN_ID)
    for ref in (*gone.refs, SchemaRef(framing.SINGLE, bytes(8).hex())):
        found[ref] = Missing("gone")
    for number, code in OF_SCHEMAS.items():
        found[SchemaRef(framing.CONFLUENT, str(number))] = Missing("not now", code)
    return found


def limited(writer: Writer) -> list[Message]:
    """What is not looked into, whatever it holds."""
    large = writer.confluent(bytes(LARGEST))[0]
    return [
        Message("one byte too large", large[: LARGEST + 1], [], code=defects.TOO_LARGE),
        Message("no byte too large", large[:LARGEST], [], code=defects.LENGTH_MISMATCH),
        *(
            Message("no schema", *Writer({"type": "string"}, number).confluent(b""), code=code)
            for number, code in OF_SCHEMAS.items()
        ),
    ]


def decoded(
    spark: SparkSession,
    messages: Sequence[Message],
    record: str,
    known: Mapping[SchemaRef, Resolved | Missing],
) -> list[tuple[Body | None, list[str]]]:
    """The event, times as microseconds, and the codes of defects of each message, in order."""
    rows = decode(log(spark, messages), contract(record), known, LARGEST)
    names = [field["name"] for field in contract(record).schema["fields"]]
    times = [n for n, kind in rows.select("event.*").dtypes if kind == "timestamp"]
    columns = [
        (F.unix_micros(f"event.{n}") if n in times else F.col(f"event.{n}")).alias(n) for n in names
    ]
    told = rows.select(
        "offset",
        F.col("event").isNotNull().alias("whole"),
        F.struct(*columns).alias("event"),
        F.col("decode_defects.code").alias("codes"),
    ).toArrow()
    ordered = sorted(told.to_pylist(maps_as_pydicts="strict"), key=lambda row: row["offset"])
    assert [row["offset"] for row in ordered] == list(range(len(messages)))
    return [(row["event"] if row["whole"] else None, row["codes"]) for row in ordered]


def same(one: Any, other: Any) -> bool:  # noqa: ANN401  # any Avro value
    """Equality in which NaN equals itself and 0 is not False."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and (one == other or (one != one and other != other))  # noqa: PLR0124  # NaN


@pytest.mark.parametrize("record", RECORDS)
def test_what_fastavro_reads_is_read_and_nothing_else(spark: SparkSession, record: str) -> None:
    rng = Random(SEED)
    ours, foreign = writers(record, 1), Writer(contract("GroundTruth").schema, 77)
    reader = contract(record).schema
    messages = [
        *good(rng, ours, reader),
        *damaged(rng, ours, reader),
        *refused(rng, ours["same"], foreign),
        *lengths_that_lie(ours["same"]),
        *limited(ours["same"]),
    ]
    rng.shuffle(messages)
    found = decoded(spark, messages, record, schemas(*ours.values(), foreign))
    for message, (event, codes) in zip(messages, found, strict=True):
        assert [alike(code, message.why) for code in codes] == (
            [alike(message.code, message.why)] if message.code else []
        ), message
        assert same(event, message.event), message
    assert_damage_was_done(messages)


GARBAGE = ("random bytes", "cut and filled", "one byte changed", "another version")


def alike(code: str, why: str) -> str:
    """Garbage is refused by both, but where each of them gives up is its own affair."""
    unreadable = (defects.MALFORMED, defects.LENGTH_MISMATCH, defects.INVALID_TEXT)
    return "unreadable" if why in GARBAGE and code in unreadable else code


def assert_damage_was_done(messages: Sequence[Message]) -> None:
    """Damage that left every message whole would prove nothing."""
    codes = Counter((m.why, m.code) for m in messages)
    for why in ("truncated", "random bytes", "one byte changed", "another version"):
        assert codes[why, defects.MALFORMED] > 0, why
    for why in ("extended", "extended by zeros", "said twice"):
        assert codes[why, defects.LENGTH_MISMATCH] > 100, why
    assert {code for _, code in codes} == {None, *defects.MEANING}


def test_framings_are_recognised_as_in_plain_python(spark: SparkSession) -> None:
    rng = Random(SEED)
    starts = (b"", b"\x00", b"\xc3\x01", b"\xc3", b"{", b"\x01")
    keys = ("__value_schema_id", "__VALUE_SCHEMA_ID", "ce_id")

    def header() -> dict[str, Any]:
        held = rng.choice((None, b"", b"\x01", b"\x00", b"\x01" + rng.randbytes(15)))
        full = rng.choice((b"\x01", b"\x01", b"\x00")) + rng.randbytes(16)
        return {"key": rng.choice(keys), "value": rng.choice((held, full, full + b"\x01"))}

    messages = [
        Message(
            "framing",
            rng.choice((None, *(rng.choice(starts) + rng.randbytes(rng.randrange(14)),) * 9)),
            [header() for _ in range(rng.choice((0, 0, 1, 2)))],
        )
        for _ in range(2000)
    ]
    rows = framed(log(spark, messages)).orderBy("offset").toArrow().to_pylist()
    kinds: Counter[str] = Counter()
    for message, row in zip(messages, rows, strict=True):
        headers = [(h["key"], h["value"]) for h in message.headers]
        wanted = framing.frame(message.value, headers)
        assert row["lead"] == (wanted.ref.lead if wanted.ref else None)
        assert wanted.ref is None or SchemaRef.of(wanted.ref.lead) == wanted.ref
        assert row["frame_defect"] == wanted.defect
        assert (row["body"] or b"") == wanted.body
        kinds[wanted.ref.framing if wanted.ref else wanted.defect or ""] += 1
    assert len(kinds) == 7, kinds
    assert min(kinds.values()) > 10, kinds


def test_rows_without_headers_are_framed(spark: SparkSession) -> None:
    rows = log(spark, [Message("bare", b"\x00\x00\x00\x00\x07ab", [])])
    bare = rows.withColumn("headers", F.lit(None).cast(rows.schema["headers"].dataType))
    (found,) = framed(bare).collect()
    assert (SchemaRef.of(bytes(found["lead"])), bytes(found["body"])) == (
        SchemaRef("confluent", "7"),
        b"ab",
    )
