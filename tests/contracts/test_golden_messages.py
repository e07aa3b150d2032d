"""What was once encoded decodes to the same for ever, whatever the contracts have become."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from datetime import datetime
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import fastavro
import pytest

from processor.avro.contracts import contract, records, shipped
from processor.avro.framing import SINGLE, SchemaRef, frame
from processor.avro.source import Resolved, SchemaSource
from processor.config import RegistryConfig

GOLDEN = Path(__file__).parent / "golden"
MESSAGES = sorted(GOLDEN.glob("*/*.bin"))


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def plain(value: Any) -> Any:  # noqa: ANN401  # any decoded value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def still_says(now: Any, then: Any) -> bool:  # noqa: ANN401  # any decoded value
    """Whether everything said then is said now; fields added since may be there as well."""
    if isinstance(then, Mapping):
        return all(key in now and still_says(now[key], inner) for key, inner in then.items())
    if isinstance(then, list):
        return len(now) == len(then) and all(map(still_says, now, then))
    return bool(now == then)


@pytest.mark.parametrize("path", MESSAGES, ids=name_of)
def test_a_message_of_any_shipped_version_decodes_for_ever(path: Path) -> None:
    record, (kind, framing, _) = path.parent.name, path.name.split(".")
    version = int(kind.partition("-")[0])
    told = json.loads((path.parent / f"{kind}.json").read_text(encoding="utf-8"))
    headers = {k: bytes.fromhex(v) for k, v in told["headers"].items()} if framing == "guid" else {}
    taken = frame(path.read_bytes(), headers.items())
    assert str(taken.ref) == told["refs"][framing]
    writer = fastavro.parse_schema(json.loads(shipped(record)[version]))
    reader = fastavro.parse_schema(contract(record).schema)
    body = BytesIO(taken.body)
    decoded = plain(fastavro.schemaless_reader(body, writer, reader))
    assert body.read() == b""
    assert still_says(decoded, told["event"])
    added = {f["name"]: f.get("default") for f in contract(record).schema["fields"]}
    for field in decoded.keys() - told["event"].keys():
        assert decoded[field] == added[field]


def test_every_shipped_version_is_in_the_corpus_in_every_framing_and_shape() -> None:
    wanted = {
        f"{record}/{version}-{shape}.{framing}.bin"
        for record in records()
        for version in shipped(record)
        for shape in ("full", "minimal")
        for framing in ("guid", "confluent", "single-object")
    }
    assert {name_of(path) for path in MESSAGES} == wanted


def test_a_fingerprint_in_the_corpus_leads_to_its_shipped_schema() -> None:
    source = SchemaSource(RegistryConfig())
    for path in sorted(GOLDEN.glob("*/*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        ref = SchemaRef.parse(told["refs"][SINGLE])
        version = int(path.name.partition("-")[0])
        assert source.resolve([ref]) == {ref: Resolved(shipped(path.parent.name)[version])}


def test_a_full_message_sets_every_field_of_its_version_to_no_default() -> None:
    for path in sorted(GOLDEN.glob("*/*-full.json")):
        version = int(path.name.partition("-")[0])
        schema = json.loads(shipped(path.parent.name)[version])
        event = json.loads(path.read_text(encoding="utf-8"))["event"]
        assert list(event) == [field["name"] for field in schema["fields"]]
        for field in schema["fields"]:
            assert event[field["name"]] not in (None, [], {}, field.get("default"))


def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "make_golden", Path(__file__).parent / "make_golden.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_maker_adds_what_lacks_and_never_writes_over_what_is_there(tmp_path: Path) -> None:
    make = maker().make
    first = make(tmp_path)
    assert {name_of(p) for p in first if p.suffix == ".bin"} == {name_of(p) for p in MESSAGES}
    kept, lost = first[0], first[-1]
    kept.write_bytes(b"as it was")
    lost.unlink()
    assert make(tmp_path) == [lost]
    assert kept.read_bytes() == b"as it was"
