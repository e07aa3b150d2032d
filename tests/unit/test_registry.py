"""Writer schemas without a registry: by fingerprint, by folder, or said to be missing."""

from __future__ import annotations

import json
from pathlib import Path

import fastavro
import fastavro.schema
import pytest

from processor.avro.contracts import contract, records, shipped
from processor.avro.framing import SchemaRef
from processor.avro.registry import reachable, register, schema_id
from processor.avro.source import INDEX, Missing, Resolved, SchemaSource, fingerprint
from processor.config import RegistryConfig
from processor.errors import ConfigError, Unavailable

OWN = json.dumps(
    {"type": "record", "name": "Own", "doc": "d", "fields": [{"name": "x", "type": "int"}]}
)
GUID = "01234567-89ab-cdef-0123-456789abcdef"
NOBODY = "http://127.0.0.1:1"
EMPTY = 0xC15D213AA4D7A795  # where CRC-64-AVRO begins, as the specification has it


def rabin(data: bytes) -> str:
    """The fingerprint as the Avro specification writes it, bit by bit; little-endian hex."""
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (EMPTY if value & 1 else 0)
        table.append(value)
    found = EMPTY
    for byte in data:
        found = (found >> 8) ^ table[(found ^ byte) & 0xFF]
    return found.to_bytes(8, "little").hex()


@pytest.mark.parametrize("name", records())
def test_a_fingerprint_is_that_of_the_specification(name: str) -> None:
    text = contract(name).text
    canonical = fastavro.schema.to_parsing_canonical_form(json.loads(text))
    assert fingerprint(text) == rabin(canonical.encode())


def test_a_fingerprint_sees_neither_documentation_nor_layout() -> None:
    schema = json.loads(OWN)
    del schema["doc"]
    assert fingerprint(json.dumps(schema, indent=3)) == fingerprint(OWN)
    schema["fields"][0]["type"] = "long"
    assert fingerprint(json.dumps(schema)) != fingerprint(OWN)


def test_every_shipped_version_is_known_without_folder_or_registry() -> None:
    source = SchemaSource(RegistryConfig())
    for name in records():
        for text in shipped(name).values():
            ref = SchemaRef("single-object", fingerprint(text))
            assert source.resolve([ref]) == {ref: Resolved(text)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "Own.avsc").write_text(OWN, encoding="utf-8")
    index = {"12": "deep/Own.avsc", GUID: "deep/Own.avsc"}
    (tmp_path / INDEX).write_text(json.dumps(index), encoding="utf-8")
    return tmp_path


def test_a_folder_gives_schemas_by_fingerprint_id_and_guid(folder: Path) -> None:
    source = SchemaSource(RegistryConfig(directory=folder))
    named = ("single-object:" + fingerprint(OWN), "confluent:12", f"guid:{GUID}")
    refs = [SchemaRef.parse(text) for text in named]
    assert source.resolve([*refs, *refs]) == dict.fromkeys(refs, Resolved(OWN))


def test_what_leads_nowhere_is_said_and_stops_nothing(folder: Path) -> None:
    unknown = [SchemaRef("confluent", "13"), SchemaRef("guid", GUID[::-1])]
    unknown.append(SchemaRef("single-object", "00" * 8))
    known = SchemaRef("confluent", "12")
    found = SchemaSource(RegistryConfig(directory=folder)).resolve([known, *unknown])
    assert found[known] == Resolved(OWN)
    for ref in unknown:
        assert found[ref] == Missing(f"{ref} is in no schema folder")


def test_a_fingerprint_is_never_asked_of_the_registry(folder: Path) -> None:
    source = SchemaSource(RegistryConfig(url=NOBODY))
    ref = SchemaRef("single-object", "00" * 8)
    assert source.resolve([ref]) == {ref: Missing(f"{ref} is in no schema folder")}


def test_a_registry_that_is_silent_is_said_with_its_address() -> None:
    config = RegistryConfig(url=NOBODY)
    for ask in (
        lambda: reachable(config),
        lambda: register(config, {"t": contract("GroundTruth")}),
        lambda: schema_id(config, "t", contract("GroundTruth").text),
    ):
        with pytest.raises(Unavailable, match=NOBODY):
            ask()


def test_without_a_registry_it_is_said_where_schemas_come_from(folder: Path) -> None:
    assert reachable(RegistryConfig()).endswith("the shipped contracts")
    assert reachable(RegistryConfig(directory=folder)).endswith(str(folder))


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no folder"):
        SchemaSource(RegistryConfig(directory=tmp_path / "none"))


@pytest.mark.parametrize(
    ("name", "text"),
    [("bad.avsc", "{"), ("bad.avsc", '{"type": "nothing"}'), (INDEX, "{"), (INDEX, '{"1": "no"}')],
)
def test_a_folder_with_a_file_that_is_broken_is_refused_by_its_name(
    folder: Path, name: str, text: str
) -> None:
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=name):
        SchemaSource(RegistryConfig(directory=folder))
