"""A mapping as a record of a contract: defaults put in, times read, and what does not fit named.

Taken is what a decoder of Avro gives, and what JSON can hold: times as ISO 8601 or microseconds
since 1970, and values of unions also as Avro's JSON encoding wraps them, `{"string": "x"}`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from processor.avro.contracts import Schema
from processor.plugins import nearest

UNKNOWN_FIELD, MISSING_FIELD, WRONG_TYPE = "unknown_field", "missing_field", "wrong_type"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BITS = {"int": 31, "long": 63}


@dataclass(frozen=True)
class Misfit:
    """What keeps a mapping from being the record: a code, and where and why in words."""

    code: str
    detail: str


@dataclass(frozen=True)
class Conformed:
    """The record, as its contract has it; what does not fit is None in it, and a misfit."""

    record: dict[str, Any]
    misfits: tuple[Misfit, ...]

    @property
    def whole(self) -> bool:
        """Whether the record can be encoded: a field too many does not keep it from that."""
        return all(each.code == UNKNOWN_FIELD for each in self.misfits)


def conform(schema: Schema, event: Mapping[str, Any]) -> Conformed:
    """`event` as the record of `schema`; what is left out has its default."""
    reading = _Reading()
    found = reading.record(schema, event, "")
    return Conformed(found, tuple(reading.misfits))


@dataclass
class _Reading:
    """One event being read: the types named so far, and what did not fit."""

    misfits: list[Misfit] = field(default_factory=list)
    named: dict[str, Schema] = field(default_factory=dict)

    def record(self, schema: Schema, value: Mapping[str, Any], path: str) -> dict[str, Any]:
        fields = {each["name"]: each for each in schema["fields"]}
        for name in (name for name in value if name not in fields):
            self._amiss(UNKNOWN_FIELD, f"no field {path}{name}: {nearest(str(name), list(fields))}")
        found: dict[str, Any] = {}
        for name, each in fields.items():
            if name not in value and "default" not in each:
                self._amiss(MISSING_FIELD, f"{path}{name} is not there, and has no default")
            told = value[name] if name in value else each.get("default")
            skipped = name not in value and "default" not in each
            found[name] = None if skipped else self._value(each["type"], told, f"{path}{name}")
        return found

    def _value(self, schema: Any, value: Any, path: str) -> Any:  # noqa: ANN401  # any type
        if isinstance(schema, list):
            (inner,) = (branch for branch in schema if branch != "null")
            return None if value is None else self._value(inner, _unwrapped(inner, value), path)
        if isinstance(schema, str):
            return self._plain(schema, value, path)
        if schema.get("logicalType") == "timestamp-micros":
            return self._read(_time, value, path, "a time")
        self.named[schema.get("name", "")] = schema
        return self._nested(schema, value, path)

    def _plain(self, name: str, value: Any, path: str) -> Any:  # noqa: ANN401  # any type
        if name in self.named:
            return self._nested(self.named[name], value, path)
        return self._read(_PLAIN[name], value, path, name)

    def _nested(self, schema: Schema, value: Any, path: str) -> Any:  # noqa: ANN401  # any type
        kind = schema["type"]
        if kind == "enum":
            symbols = schema["symbols"]
            if value not in symbols:
                self._amiss(WRONG_TYPE, f"{path} is {value!r}: {nearest(str(value), symbols)}")
            return value if value in symbols else None
        if kind == "array" and isinstance(value, list | tuple):
            items = enumerate(value)
            return [self._value(schema["items"], each, f"{path}[{n}]") for n, each in items]
        if kind == "map" and _is_map(value):
            items = value.items()
            return {n: self._value(schema["values"], each, f"{path}[{n!r}]") for n, each in items}
        if kind == "record" and isinstance(value, Mapping):
            return self.record(schema, value, f"{path}.")
        return self._wrong(value, path, kind)

    def _read(
        self,
        read: Callable[[Any], Any],
        value: Any,  # noqa: ANN401  # any value
        path: str,
        kind: str,
    ) -> Any:  # noqa: ANN401  # what the field holds
        found = read(value)
        return self._wrong(value, path, kind) if found is None else found

    def _wrong(self, value: Any, path: str, kind: str) -> None:  # noqa: ANN401  # any value
        said = "null" if value is None else f"the {type(value).__name__} {value!r}"
        self._amiss(WRONG_TYPE, f"{path} is {said}, not {kind}")

    def _amiss(self, code: str, detail: str) -> None:
        self.misfits.append(Misfit(code, detail))


def _unwrapped(schema: Any, value: Any) -> Any:  # noqa: ANN401  # any type
    """What Avro's JSON encoding wraps into `{branch: value}`."""
    branch = schema if isinstance(schema, str) else schema.get("name", schema["type"])
    if isinstance(value, Mapping) and len(value) == 1 and not _is_field(schema, value):
        ((name, inner),) = value.items()
        return inner if str(name).rpartition(".")[2] == branch else value
    return value


def _is_field(schema: Any, value: Mapping[str, Any]) -> bool:  # noqa: ANN401  # any type
    fields = schema.get("fields", ()) if isinstance(schema, dict) else ()
    return any(each["name"] in value for each in fields)


def _is_map(value: object) -> bool:
    return isinstance(value, Mapping) and all(_text(key) is not None for key in value)


def _text(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    encodable = value.encode("utf-8", "replace").decode() == value  # half a surrogate is not
    return value if encodable else None


def _truth(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _whole(value: object, bits: int) -> int | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and -(2**bits) <= value < 2**bits
    return value if fits else None  # type: ignore[return-value]  # it is an int


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _bytes(value: object) -> bytes | None:
    return value if isinstance(value, bytes) else None


def _time(value: object) -> datetime | None:
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, int) and not isinstance(value, bool):
            value = _EPOCH + timedelta(microseconds=value)
    except (ValueError, OverflowError):
        return None
    if not isinstance(value, datetime):
        return None
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


_PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "string": _text,
    "bytes": _bytes,
    "boolean": _truth,
    "int": lambda value: _whole(value, _BITS["int"]),
    "long": lambda value: _whole(value, _BITS["long"]),
    "float": _number,
    "double": _number,
}
