"""Adds golden messages for shipped versions that have none; what is there is never written again.

    python tests/contracts/make_golden.py [FOLDER]

Of each version of each record: a `full` event (every field set) and a `minimal` one (only what has
no default), each in all three framings, beside the JSON of what they decode to. Producers encode
with fastavro alone, so that nothing of what is tested made the bytes.
"""

from __future__ import annotations

import json
import struct
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import fastavro.schema

SHIPPED = Path(__file__).parents[2] / "schemas" / "shipped"
GOLDEN = Path(__file__).parent / "golden"
FIRST = datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC)
NAMESPACE = uuid.UUID("2f1e3a52-7d0f-5c1b-8a66-1d7e6b0c8a2f")

Shape = Callable[[Any, str, int], Any]
_SCALARS: dict[str, Callable[[str, int], Any]] = {
    "string": lambda name, n: f"{name} {n} æ€😀",
    "boolean": lambda _, n: n % 2 == 1,
    "int": lambda _, n: -n,
    "long": lambda _, n: (1 << 40) + n,
    "float": lambda _, n: n / 4,
    "double": lambda _, n: n + 0.1,
}


def full(schema: Any, name: str, n: int) -> Any:  # noqa: ANN401  # any schema, any value
    """A value with every field set, the same for the same field of the same place."""
    if isinstance(schema, list):
        return full(schema[1], name, n)
    if isinstance(schema, str):
        return _SCALARS[schema](name, n)
    if schema.get("logicalType") == "timestamp-micros":
        return FIRST + timedelta(seconds=n)
    if schema["type"] == "record":
        fields = enumerate(schema["fields"], start=n + 1)
        return {f["name"]: _not_default(f, at) for at, f in fields}
    if schema["type"] == "enum":
        return schema["symbols"][-n % len(schema["symbols"])]
    if schema["type"] == "array":
        return [full(schema["items"], name, n + at) for at in range(2)]
    if schema["type"] == "map":
        return {f"key {at}": full(schema["values"], name, n + at) for at in range(2)}
    return full(schema["type"], name, n)


def _not_default(field: dict[str, Any], n: int) -> Any:  # noqa: ANN401  # any value
    tried = (full(field["type"], field["name"], at) for at in range(n, n + 3))
    return next(value for value in tried if value not in (field.get("default"), "UNKNOWN"))


def minimal(schema: Any, name: str, n: int) -> Any:  # noqa: ANN401  # any schema, any value
    """An event with nothing but the fields that have no default."""
    wanted = (f for f in schema["fields"] if "default" not in f)
    return {f["name"]: full(f["type"], f["name"], n) for f in wanted}


SHAPES: dict[str, Shape] = {"full": full, "minimal": minimal}


def plain(value: Any) -> Any:  # noqa: ANN401  # any decoded value
    """A decoded value as JSON has it: times as ISO 8601."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def files_of(record: str, version: int, schema: dict[str, Any]) -> Iterable[tuple[str, bytes]]:
    """Every golden file of one version of one record, by name."""
    parsed = fastavro.parse_schema(schema)
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    mark = bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))
    guid = uuid.uuid5(NAMESPACE, f"{record}/{version}")
    for shape, make in SHAPES.items():
        out = BytesIO()
        fastavro.schemaless_writer(out, parsed, make(schema, record, 0))
        body = out.getvalue()
        told = {
            "headers": {"__value_schema_id": (b"\x01" + guid.bytes).hex()},
            "refs": {
                "guid": f"guid:{guid}",
                "confluent": f"confluent:{version}",
                "single-object": f"single-object:{mark.hex()}",
            },
            "event": plain(fastavro.schemaless_reader(BytesIO(body), parsed, None)),
        }
        text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
        yield f"{version}-{shape}.json", text.encode()
        yield f"{version}-{shape}.guid.bin", body
        yield f"{version}-{shape}.confluent.bin", b"\x00" + struct.pack(">I", version) + body
        yield f"{version}-{shape}.single-object.bin", b"\xc3\x01" + mark + body


def make(folder: Path) -> list[Path]:
    """Writes what is lacking; the paths of what was written."""
    written = []
    for path in sorted(SHIPPED.glob("*/*.avsc")):
        record, version = path.parent.name, int(path.stem)
        schema = json.loads(path.read_text(encoding="utf-8"))
        for name, content in files_of(record, version, schema):
            target = folder / record / name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
                written.append(target)
    return written


if __name__ == "__main__":
    made = make(Path(sys.argv[1]) if len(sys.argv) > 1 else GOLDEN)
    sys.stdout.write(f"{len(made)} files added\n")
