"""Strict decoding on the JVM: one `from_avro` for each distinct writer schema.

`from_avro` neither says where it stopped nor minds bytes that are left over. So each body is
followed by a trailer of 16 bytes, drawn when rows are decoded so that no message can hold it, and
is decoded as a record of two fields, the event and the trailer. The trailer comes out right if, and
only if, the event used up its body exactly; no second encoding is needed (docs/adr/0003).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.avro.functions import from_avro

from processor.avro import defects, framing
from processor.avro.compatibility import unreadable
from processor.avro.contracts import Contract, struct_type
from processor.avro.framing import SchemaRef
from processor.avro.source import Missing, Resolved
from processor.config import LimitsConfig

TRAILER_BYTES = 16
DEFECT = "struct<code:string,detail:string>"
DEFECTS = f"array<{DEFECT}>"


def jvm_limits(limits: LimitsConfig) -> dict[str, str]:
    """Properties of each JVM that decodes, read once, when it first does.

    Avro makes room for what a message claims before it looks whether that much is there, and a
    damaged message of ten bytes may claim two gigabytes.
    """
    return {
        "org.apache.avro.limits.string.maxLength": str(limits.text_bytes),
        "org.apache.avro.limits.bytes.maxLength": str(limits.text_bytes),
        "org.apache.avro.limits.collectionItems.maxLength": str(limits.items),
    }


def framed(log: DataFrame, largest: int = framing.LARGEST_RECORD) -> DataFrame:
    """Log rows with `lead`, `body` and `frame_defect`, by the rules of `framing`.

    `lead` is what stands for the writer schema, as `SchemaRef.lead` has it: telling bytes apart
    costs a row far less than writing the reference out.
    """
    value, size = F.col("value"), F.length("value")
    place = F.array_position(F.col("headers")["key"], framing.GUID_HEADER)
    guid = F.when(place > 0, F.try_element_at("headers", place.cast("int"))["value"])
    has_guid = (F.length(guid) == framing.GUID_BYTES) & _starts(guid, framing.GUID_MAGIC)
    has_guid = F.coalesce(has_guid, F.lit(False))
    confluent = _starts(value, framing.CONFLUENT_MAGIC)
    single = _starts(value, framing.SINGLE_MAGIC)
    short = (confluent & (size < framing.CONFLUENT_BYTES)) | (
        single & (size < framing.SINGLE_BYTES)
    )
    defect = (
        F.when(value.isNull(), defects.TOMBSTONE)
        .when(size == 0, defects.EMPTY_VALUE)
        .when(size > largest, defects.TOO_LARGE)
        .when(has_guid, F.lit(None))
        .when(short, defects.TRUNCATED_FRAME)
        .when(~(confluent | single), defects.UNKNOWN_FRAMING)
    )
    length = F.when(confluent, framing.CONFLUENT_BYTES).otherwise(framing.SINGLE_BYTES)
    lead = F.when(has_guid, guid).otherwise(F.substring(value, F.lit(1), length))
    body = F.when(has_guid, value).otherwise(F.substring(value, length + 1, size))
    ok = defect.isNull()
    return log.select(
        "*",
        F.when(ok, lead).alias("lead"),
        F.when(ok, body).alias("body"),
        defect.alias("frame_defect"),
    )


def decode(
    log: DataFrame,
    record: Contract,
    schemas: Mapping[SchemaRef, Resolved | Missing],
    largest: int = framing.LARGEST_RECORD,
) -> DataFrame:
    """Log rows with `event` (the contract's record, or null), `schema_ref` and `decode_defects`.

    A value of more than `largest` bytes is not looked into.
    """
    by_text: dict[str, list[SchemaRef]] = {}
    refused: dict[SchemaRef, tuple[str, str]] = {}
    for ref, found in schemas.items():
        if isinstance(found, Missing):
            refused[ref] = (found.code, found.why)
        elif why := unreadable(found.text, record.text):
            refused[ref] = (defects.SCHEMA_INCOMPATIBLE, why)
        else:
            by_text.setdefault(found.text, []).append(ref)
    trailer = F.lit(secrets.token_bytes(TRAILER_BYTES))
    whole = F.concat("body", trailer)
    kind = _framed_type(record)
    nothing = F.lit(None).cast(kind)
    decoded = _choose(
        ((refs, _from_avro(whole, text, record.text)) for text, refs in sorted(by_text.items())),
        nothing,
    )
    rows = framed(log, largest).withColumn("_decoded", decoded)
    return (
        _judged(rows, trailer, refused, _valid_text(F.col("_decoded.event"), record))
        .withColumn("schema_ref", _reference([ref for refs in by_text.values() for ref in refs]))
        .drop("lead")
    )


def _reference(known: Iterable[SchemaRef]) -> Column:
    """The reference as text; looked up for those that were decoded, made out for the others."""
    lead = F.col("lead")
    size = F.length(lead)
    confluent = F.conv(F.hex(F.substring(lead, 2, framing.CONFLUENT_BYTES)), 16, 10)
    single = F.lower(F.hex(F.substring(lead, 3, framing.SINGLE_BYTES)))
    made_out = (
        F.when(size == framing.CONFLUENT_BYTES, _named(framing.CONFLUENT, confluent))
        .when(size == framing.SINGLE_BYTES, _named(framing.SINGLE, single))
        .when(size == framing.GUID_BYTES, _named(framing.GUID, _uuid(lead)))
    )
    return _choose((([ref], F.lit(str(ref))) for ref in sorted(known)), made_out)


def _named(by: str, key: Column) -> Column:
    return F.concat(F.lit(f"{by}:"), key)


def _valid_text(event: Column, record: Contract) -> Column:
    """Whether every text of an event is UTF-8; what an enum holds is the schema's, not read."""
    texts = tuple(_texts(event, struct_type(record.schema, symbol=T.NullType())))
    return F.is_valid_utf8(F.concat_ws(" ", *texts)) if texts else F.lit(True)


def _texts(value: Column, kind: T.DataType) -> Iterator[Column]:
    """Every text in a value, as strings and arrays of strings."""
    if isinstance(kind, T.StringType):
        yield value
    elif isinstance(kind, T.StructType):
        for field in kind:
            yield from _texts(value[field.name], field.dataType)
    elif isinstance(kind, T.MapType):
        yield from _texts(F.map_keys(value), T.ArrayType(kind.keyType))
        yield from _texts(F.map_values(value), T.ArrayType(kind.valueType))
    elif isinstance(kind, T.ArrayType):
        yield from _texts_of_items(value, kind.elementType)


def _texts_of_items(items: Column, kind: T.DataType) -> Iterator[Column]:
    if isinstance(kind, T.StringType):
        yield items
    elif isinstance(kind, T.StructType):
        for field in kind:
            yield from _texts_of_items(items[field.name], field.dataType)
    elif isinstance(kind, T.ArrayType):
        yield from _texts_of_items(_joined(items, lambda item: item), kind.elementType)
    elif isinstance(kind, T.MapType):
        yield from _texts_of_items(_joined(items, F.map_keys), kind.keyType)
        yield from _texts_of_items(_joined(items, F.map_values), kind.valueType)


def _joined(items: Column, inner: Callable[[Column], Column]) -> Column:
    """The arrays that items hold as one; an item that is null would make all of it null."""
    return F.flatten(F.filter(F.transform(items, inner), lambda array: array.isNotNull()))


def _judged(
    rows: DataFrame,
    trailer: Column,
    refused: Mapping[SchemaRef, tuple[str, str]],
    valid_text: Column,
) -> DataFrame:
    """The first defect of a row, if any, decides whether its event is kept."""
    none = F.lit(None).cast(DEFECT)
    refusal = _choose((([ref], _defect(*said)) for ref, said in sorted(refused.items())), none)
    # What does not decode is null, or a struct of nulls: there is no trailer either way.
    found = F.col("_decoded.trailer")
    defect = (
        F.when(found == trailer, F.when(~valid_text, _defect(defects.INVALID_TEXT)).otherwise(none))
        .when(F.col("frame_defect").isNotNull(), _defect_of(F.col("frame_defect")))
        .when(refusal.isNotNull(), refusal)
        .when(found.isNull(), _defect(defects.MALFORMED))
        .otherwise(_defect(defects.LENGTH_MISMATCH))
    )
    told = rows.withColumn("_defect", defect)
    clean = F.col("_defect").isNull()
    return told.select(
        *(name for name in rows.columns if name not in _WORKING),
        F.when(clean, F.col("_decoded.event")).alias("event"),
        F.when(clean, F.array().cast(DEFECTS))
        .otherwise(F.array("_defect"))
        .alias("decode_defects"),
    )


def _choose(cases: Iterable[tuple[list[SchemaRef], Column]], otherwise: Column) -> Column:
    """One value by schema reference."""
    chosen: Column | None = None
    for refs, value in cases:
        test = F.col("lead").isin([F.lit(ref.lead) for ref in refs])
        chosen = F.when(test, value) if chosen is None else chosen.when(test, value)
    return otherwise if chosen is None else chosen.otherwise(otherwise)


def _defect(code: str, detail: str | None = None) -> Column:
    return F.struct(
        F.lit(code).alias("code"), F.lit(detail or defects.MEANING[code]).alias("detail")
    )


def _defect_of(code: Column) -> Column:
    meanings = F.create_map(*(F.lit(part) for pair in defects.MEANING.items() for part in pair))
    return F.struct(code.alias("code"), meanings[code].alias("detail"))


def _from_avro(whole: Column, writer: str, reader: str) -> Column:
    options = {"avroSchema": _with_trailer(reader), "mode": "PERMISSIVE"}
    return from_avro(whole, _with_trailer(writer), options)


def _with_trailer(schema: str) -> str:
    trailer = {"type": "fixed", "name": "BfpTrailer", "size": TRAILER_BYTES}
    fields = [
        {"name": "event", "type": json.loads(schema)},
        {"name": "trailer", "type": trailer},
    ]
    return json.dumps({"type": "record", "name": "BfpFramed", "fields": fields})


def _framed_type(record: Contract) -> T.StructType:
    return T.StructType(
        [
            T.StructField("event", struct_type(record.schema)),
            T.StructField("trailer", T.BinaryType()),
        ]
    )


def _starts(value: Column, magic: bytes) -> Column:
    """Whether bytes begin with `magic`; false for null."""
    begin = F.substring(value, 1, len(magic)) == F.lit(magic)
    return F.coalesce(begin, F.lit(False))


def _uuid(guid: Column) -> Column:
    """The 16 bytes behind the magic, in the usual dashes."""
    text = F.lower(F.hex(F.substring(guid, 2, 16)))
    parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    return F.concat_ws("-", *(F.substring(text, start, size) for start, size in parts))


_WORKING = ("body", "frame_defect", "_decoded")
