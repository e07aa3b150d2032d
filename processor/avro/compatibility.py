"""What may change in a contract: FULL_TRANSITIVE, checked offline against all that was shipped."""

from __future__ import annotations

import json
from dataclasses import dataclass

from avro import schema as avro_schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException

from processor.avro.contracts import Schema, contract, records, shipped

BACKWARD, FORWARD, RULE = "backward", "forward", "rule"


@dataclass(frozen=True)
class Finding:
    """One thing that would break a producer or a reader."""

    record: str
    version: int
    direction: str
    why: str


def unreadable(writer: str, reader: str) -> str | None:
    """Why data written with one schema cannot be read with another; None if they can be."""
    try:
        old, new = avro_schema.parse(writer), avro_schema.parse(reader)
    except AvroException as error:
        return f"not an Avro schema: {error}"
    if getattr(old, "fullname", None) != getattr(new, "fullname", None):
        theirs, ours = getattr(old, "fullname", old.type), getattr(new, "fullname", new.type)
        return f"it writes {theirs}, not {ours}"
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]  # as it ships
    found = checker.get_compatibility(new, old)
    if found.compatibility is SchemaCompatibilityType.compatible:
        return None
    return "; ".join(sorted(found.messages)) or "the schemas do not resolve"


def findings() -> list[Finding]:
    """Everything that is wrong with the contracts; none when they may be released."""
    found: list[Finding] = []
    for name in records():
        found += check(name, contract(name).text, shipped(name))
    return found


def check(name: str, text: str, versions: dict[int, str]) -> list[Finding]:
    """What is wrong with one contract, given every version of it that was shipped."""
    found = [Finding(name, 0, RULE, why) for why in broken_rules(json.loads(text))]
    for number, old in versions.items():
        for direction, writer, reader in ((BACKWARD, old, text), (FORWARD, text, old)):
            if why := unreadable(writer, reader):
                found.append(Finding(name, number, direction, why))
        found += [
            Finding(name, number, RULE, f"{field} was added without a default")
            for field in _added_without_default(json.loads(old), json.loads(text))
        ]
    newest = max(versions, default=0)
    if not versions or json.loads(versions[newest]) != json.loads(text):
        why = f"it differs from the last shipped version: add it as {name}/{newest + 1}.avsc"
        found.append(Finding(name, newest, RULE, why))
    return found


def broken_rules(schema: Schema) -> list[str]:
    """House rules: unions are `["null", T]`, enums begin with UNKNOWN and default to it."""
    found: list[str] = []
    _walk(schema, schema["name"], found)
    return found


def _walk(node: object, path: str, found: list[str]) -> None:
    if isinstance(node, list):
        if len(node) != 2 or node[0] != "null":  # noqa: PLR2004  # null and one type
            found.append(f'{path}: a union must be ["null", T]')
        for branch in node:
            _walk(branch, path, found)
    elif isinstance(node, dict):
        found += [f"{path}: {why}" for why in _own_rules(node)]
        for field in node.get("fields", ()):
            _walk(field["type"], f"{path}.{field['name']}", found)
        for inner in (node.get("items"), node.get("values"), node["type"]):
            if isinstance(inner, dict | list):
                _walk(inner, path, found)


def _own_rules(node: Schema) -> list[str]:
    found: list[str] = []
    if node["type"] == "enum" and not (node["symbols"][0] == node.get("default") == "UNKNOWN"):
        found.append("an enum begins with UNKNOWN and defaults to it")
    if node.get("logicalType", "timestamp-micros") != "timestamp-micros":
        found.append("times are timestamp-micros")
    return found


def _added_without_default(old: Schema, new: Schema) -> list[str]:
    before = {field["name"] for field in old["fields"]}
    return [f["name"] for f in new["fields"] if f["name"] not in before and "default" not in f]
