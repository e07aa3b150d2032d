"""Writer schemas: each distinct reference of a batch is looked up once, on the driver."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import fastavro.schema
import httpx2
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from processor.avro.contracts import Contract, records, shipped
from processor.avro.framing import CONFLUENT, GUID, SINGLE, SchemaRef
from processor.config import RegistryConfig, revealed
from processor.errors import ConfigError, DataRefused, Unavailable

_NOT_FOUND, _CONFLICT = 404, 409
INDEX = "index.json"
_UNUSABLE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError),  # not there, no JSON, no schema
    fastavro.schema.SchemaParseException,
)


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
        with _asking(self._config):
            try:
                return Resolved(self._ask(ref))
            except SchemaRegistryError as error:
                if error.http_status_code != _NOT_FOUND:
                    raise
                return Missing(f"{ref} is not in the registry")

    def _ask(self, ref: SchemaRef) -> str:
        if ref.framing == CONFLUENT:
            found = self._client.get_schema(int(ref.key))
        else:
            found = self._client.get_schema_by_guid(ref.key)
        return found.schema_str or ""

    @cached_property
    def _client(self) -> SchemaRegistryClient:
        return _client(self._config)


def register(config: RegistryConfig, contracts: Mapping[str, Contract]) -> dict[str, int]:
    """Registers each contract under its topic's value subject; the id of each, by subject.

    Raises:
        Unavailable: the registry does not answer.
        DataRefused: it holds a schema there that the contract does not fit.
    """
    ids = {}
    with _asking(config):
        client = _client(config)
        for topic, contract in contracts.items():
            subject = f"{topic}-value"
            ids[subject] = client.register_schema(subject, Schema(contract.text, "AVRO"))
            client.set_compatibility(subject, level="FULL_TRANSITIVE")
    return ids


def reachable(config: RegistryConfig) -> str:
    """Where writer schemas come from; raises Unavailable when a registry is set and is silent."""
    if not config.url:
        return f"none; schemas come from {config.directory or 'the shipped contracts'}"
    with _asking(config):
        subjects = _client(config).get_subjects()
    return f"{config.url}: {len(subjects)} subjects"


def _client(config: RegistryConfig) -> SchemaRegistryClient:
    settings = {"url": config.url or "", **revealed(config.properties)}
    return SchemaRegistryClient({**settings, "max.retries": 1})


@contextmanager
def _asking(config: RegistryConfig) -> Iterator[None]:
    """What the registry's client raises, as one of our errors."""
    try:
        yield
    except SchemaRegistryError as error:
        if error.http_status_code == _CONFLICT:
            raise DataRefused(
                f"the registry {config.url} refuses a contract: {error}",
                remedy="give the topic a name of its own, or remove what is registered there",
            ) from error
        raise _down(config, str(error)) from error
    except (httpx2.TransportError, ValueError) as error:
        raise _down(config, str(error)) from error


def _down(config: RegistryConfig, why: str) -> Unavailable:
    return Unavailable(
        f"the schema registry {config.url or '(registry.url is not set)'} does not answer: {why}",
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
        with _naming(path):
            text = path.read_text(encoding="utf-8")
            found[SchemaRef(SINGLE, fingerprint(text))] = text
    if (folder / INDEX).is_file():
        with _naming(folder / INDEX):
            index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
            for key, name in index.items():
                framing = CONFLUENT if key.isdigit() else GUID
                found[SchemaRef(framing, key)] = (folder / name).read_text(encoding="utf-8")
    return found


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """What is wrong with a file of the schema folder, as an error that names it."""
    try:
        yield
    except _UNUSABLE as error:
        raise ConfigError(
            f"{path} cannot be used: {type(error).__name__}: {error}",
            remedy="mend the file, or remove it",
        ) from error
