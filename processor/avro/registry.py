"""Writer schemas: each distinct reference of a batch is looked up once, on the driver."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import fastavro.schema
import httpx2
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from processor.avro.contracts import records, shipped
from processor.avro.framing import CONFLUENT, GUID, SINGLE, SchemaRef
from processor.config import RegistryConfig, revealed
from processor.errors import ConfigError, Unavailable

_NOT_FOUND = 404
INDEX = "index.json"


@dataclass(frozen=True)
class Resolved:
    """A writer schema, as text."""

    text: str


@dataclass(frozen=True)
class Missing:
    """A reference that leads nowhere, and why."""

    why: str


def fingerprint(text: str) -> str:
    """CRC-64-AVRO of a schema's canonical form, as hex of its little-endian bytes."""
    canonical = fastavro.schema.to_parsing_canonical_form(json.loads(text))
    digest: str = fastavro.schema.fingerprint(canonical, "CRC-64-AVRO")
    return digest


class SchemaSource:
    """Looks in the shipped contracts, then in the schema folder, then in the registry."""

    def __init__(self, config: RegistryConfig) -> None:
        self._config = config
        self._local = _shipped() | (_folder(config.directory) if config.directory else {})

    def resolve(self, refs: Iterable[SchemaRef]) -> dict[SchemaRef, Resolved | Missing]:
        """The schema of every reference, or why there is none.

        Raises:
            Unavailable: the registry is needed, and does not answer.
        """
        return {ref: self._one(ref) for ref in sorted(set(refs))}

    def _one(self, ref: SchemaRef) -> Resolved | Missing:
        if (text := self._local.get(ref)) is not None:
            return Resolved(text)
        if ref.framing == SINGLE or not self._config.url:
            return Missing(f"{ref} is in no schema folder")
        try:
            return Resolved(self._ask(ref))
        except SchemaRegistryError as error:
            if error.http_status_code == _NOT_FOUND:
                return Missing(f"{ref} is not in the registry")
            raise self._down(str(error)) from error
        except httpx2.TransportError as error:
            raise self._down(str(error)) from error

    def _ask(self, ref: SchemaRef) -> str:
        settings = {"url": self._config.url or "", **revealed(self._config.properties)}
        client = SchemaRegistryClient({**settings, "max.retries": 1})
        found = client.get_schema(int(ref.key)) if ref.framing == CONFLUENT else None
        found = found or client.get_schema_by_guid(ref.key)
        return found.schema_str or ""

    def _down(self, why: str) -> Unavailable:
        return Unavailable(
            f"the schema registry {self._config.url} does not answer: {why}",
            remedy="start it (`bfp local up`), set registry.url, or give registry.directory",
        )


def _shipped() -> dict[SchemaRef, str]:
    """Every version of every contract, by fingerprint."""
    texts = (text for name in records() for text in shipped(name).values())
    return {SchemaRef(SINGLE, fingerprint(text)): text for text in texts}


def _folder(folder: Path) -> dict[SchemaRef, str]:
    """Schemas of a folder by fingerprint; `index.json` may name ids and GUIDs: {"12": "A.avsc"}."""
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder", remedy="set registry.directory to one")
    found: dict[SchemaRef, str] = {}
    for path in sorted(folder.rglob("*.avsc")):
        text = path.read_text(encoding="utf-8")
        found[SchemaRef(SINGLE, fingerprint(text))] = text
    index: Mapping[str, str] = {}
    if (folder / INDEX).is_file():
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    for key, name in index.items():
        framing = CONFLUENT if key.isdigit() else GUID
        found[SchemaRef(framing, key)] = (folder / name).read_text(encoding="utf-8")
    return found
