"""The contracts: `schemas/avro/*.avsc` is the source of truth, read and never restated."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from pyspark.sql import types as T

from processor.errors import ConfigError
from processor.plugins import nearest
from processor.resources import resource

CONTRACTS = resource("schemas", "avro")
SHIPPED = resource("schemas", "shipped")

Schema = dict[str, Any]

_PRIMITIVES: dict[str, T.DataType] = {
    "string": T.StringType(),
    "bytes": T.BinaryType(),
    "boolean": T.BooleanType(),
    "int": T.IntegerType(),
    "long": T.LongType(),
    "float": T.FloatType(),
    "double": T.DoubleType(),
}


@dataclass(frozen=True, eq=False)
class Contract:
    """One record: its name, and its schema as text and as data."""

    name: str
    text: str

    @property
    def schema(self) -> Schema:
        """The schema, a fresh copy."""
        parsed: Schema = json.loads(self.text)
        return parsed

    @property
    def full_name(self) -> str:
        """Namespace and name."""
        return f"{self.schema['namespace']}.{self.name}"


def records() -> tuple[str, ...]:
    """The names of all contracts."""
    return tuple(sorted(path.stem for path in CONTRACTS.glob("*.avsc")))


@cache
def contract(name: str) -> Contract:
    """The contract called `name`; raises ConfigError, with the nearest name, if there is none."""
    path = CONTRACTS / f"{name}.avsc"
    if not path.is_file():
        raise ConfigError(f"no contract {name!r}", remedy=nearest(name, records()))
    return Contract(name, path.read_text(encoding="utf-8"))


def shipped(name: str) -> dict[int, str]:
    """Every version of a contract that producers may be using, as text, by number."""
    found = {int(path.stem): path.read_text("utf-8") for path in (SHIPPED / name).glob("*.avsc")}
    return dict(sorted(found.items()))


def struct_type(schema: Schema, symbol: T.DataType = _PRIMITIVES["string"]) -> T.StructType:
    """The Spark type of a record, all of it nullable: what does not decode is null everywhere.

    `symbol` is the type of what an enum holds.
    """
    kind = _spark_type(schema, {}, symbol)
    if not isinstance(kind, T.StructType):
        raise TypeError(f"{schema.get('name')} is no record")
    return kind


def _spark_type(
    schema: Any,  # noqa: ANN401  # text, list or dict
    named: dict[str, T.DataType],
    symbol: T.DataType,
) -> T.DataType:
    if isinstance(schema, list):
        (inner,) = (branch for branch in schema if branch != "null")
        return _spark_type(inner, named, symbol)
    if isinstance(schema, str):
        return _PRIMITIVES.get(schema) or named[schema]
    if schema.get("logicalType") == "timestamp-micros":
        return T.TimestampType()
    kind = schema["type"]
    if kind == "array":
        return T.ArrayType(_spark_type(schema["items"], named, symbol))
    if kind == "map":
        return T.MapType(T.StringType(), _spark_type(schema["values"], named, symbol))
    if kind == "enum":
        named[schema["name"]] = symbol
        return symbol
    if kind == "record":
        fields = [
            T.StructField(f["name"], _spark_type(f["type"], named, symbol))
            for f in schema["fields"]
        ]
        named[schema["name"]] = T.StructType(fields)
        return named[schema["name"]]
    return _spark_type(kind, named, symbol)
