"""Strict decoding on the JVM: one `from_avro` for each distinct writer schema.

`from_avro` neither says where it stopped nor minds bytes that are left over. So each body is
followed by a trailer of 16 bytes that only its own coordinates give, and is decoded as a record of
two fields, the event and the trailer. The trailer comes out right if, and only if, the event used
up its body exactly; no second encoding is needed (docs/adr/0003).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.avro.functions import from_avro

from processor.avro import defects, framing
from processor.avro.compatibility import unreadable
from processor.avro.contracts import Contract, struct_type
from processor.avro.framing import SchemaRef
from processor.avro.registry import Missing, Resolved
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
    """Log rows with `schema_ref`, `body` and `frame_defect`, by the rules of `framing`."""
    value, size = F.col("value"), F.length("value")
    guids = F.filter("headers", lambda header: header["key"] == framing.GUID_HEADER)
    guid = F.try_element_at(guids, F.lit(1))["value"]
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
    ident = F.conv(F.hex(F.substring(value, 2, 4)), 16, 10)
    ref = (
        F.when(has_guid, F.concat(F.lit(f"{framing.GUID}:"), _uuid(guid)))
        .when(confluent, F.concat(F.lit(f"{framing.CONFLUENT}:"), ident))
        .when(
            single, F.concat(F.lit(f"{framing.SINGLE}:"), F.lower(F.hex(F.substring(value, 3, 8))))
        )
    )
    start = (
        F.when(has_guid, 0).when(confluent, framing.CONFLUENT_BYTES).otherwise(framing.SINGLE_BYTES)
    )
    body = F.substring(value, start + 1, size)
    ok = defect.isNull()
    return log.select(
        "*",
        F.when(ok, ref).alias("schema_ref"),
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
    by_text: dict[str, list[str]] = {}
    refused: dict[str, tuple[str, str]] = {}
    for ref, found in schemas.items():
        if isinstance(found, Missing):
            refused[str(ref)] = (found.code, found.why)
        elif why := unreadable(found.text, record.text):
            refused[str(ref)] = (defects.SCHEMA_INCOMPATIBLE, why)
        else:
            by_text.setdefault(found.text, []).append(str(ref))
    whole = F.concat("body", "_trailer")
    kind = _framed_type(record)
    nothing = F.lit(None).cast(kind)
    decoded = _choose(
        ((refs, _from_avro(whole, text, record.text)) for text, refs in sorted(by_text.items())),
        nothing,
    )
    rows = framed(log, largest).withColumn("_trailer", _trailer()).withColumn("_decoded", decoded)
    texts = F.concat_ws(" ", *_texts(F.col("_decoded.event"), kind["event"].dataType))
    return _judged(rows, refused, F.is_valid_utf8(texts))


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
    rows: DataFrame, refused: Mapping[str, tuple[str, str]], valid_text: Column
) -> DataFrame:
    """The first defect of a row, if any, decides whether its event is kept."""
    none = F.lit(None).cast(DEFECT)
    refusal = _choose((([ref], _defect(*said)) for ref, said in sorted(refused.items())), none)
    # What does not decode is null, or a struct of nulls: there is no trailer either way.
    trailer = F.col("_decoded.trailer")
    exact = trailer == F.col("_trailer")
    defect = (
        F.when(F.col("frame_defect").isNotNull(), _defect_of(F.col("frame_defect")))
        .when(refusal.isNotNull(), refusal)
        .when(trailer.isNull(), _defect(defects.MALFORMED))
        .when(~exact, _defect(defects.LENGTH_MISMATCH))
        .when(~valid_text, _defect(defects.INVALID_TEXT))
        .otherwise(none)
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


def _choose(cases: Iterable[tuple[list[str], Column]], otherwise: Column) -> Column:
    """One value by schema reference."""
    chosen: Column | None = None
    for refs, value in cases:
        test = F.col("schema_ref").isin(refs)
        chosen = F.when(test, value) if chosen is None else chosen.when(test, value)
    return otherwise if chosen is None else chosen.otherwise(otherwise)


def _defect(code: str, detail: str | None = None) -> Column:
    return F.struct(
        F.lit(code).alias("code"), F.lit(detail or defects.MEANING[code]).alias("detail")
    )


def _defect_of(code: Column) -> Column:
    meanings = F.create_map(*(F.lit(part) for pair in defects.MEANING.items() for part in pair))
    return F.struct(code.alias("code"), meanings[code].alias("detail"))


def _trailer() -> Column:
    place = F.concat_ws("|", "topic", "partition", "offset")
    return F.unhex(F.md5(place))


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


_WORKING = ("body", "frame_defect", "_trailer", "_decoded")
