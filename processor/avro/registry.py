"""Writer schemas: each distinct reference of a batch is looked up once, on the driver."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import fastavro.schema
import httpx2
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from processor.avro import defects
from processor.avro.contracts import Contract, records, shipped
from processor.avro.framing import CONFLUENT, GUID, SINGLE, SchemaRef
from processor.avro.shape import refusal
from processor.config import LimitsConfig, RegistryConfig
from processor.errors import ConfigError, DataRefused, Unavailable
from processor.sections import revealed

_NOT_FOUND, _CONFLICT = 404, 409
_BUSY = (408, 429, *range(500, 600))  # what a registry that is not itself answers with
LIMITS = LimitsConfig()
INDEX = "index.json"
_UNUSABLE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError),  # not there, no JSON, no schema
    fastavro.schema.SchemaParseException,
)


class RegistrySilent(Unavailable):
    """A registry that is down, rather than one that refuses who asks."""


@dataclass(frozen=True)
class Resolved:
    """A writer schema, as text; `answered`: the registry has just said it."""

    text: str
    answered: bool = False


@dataclass(frozen=True)
class Missing:
    """A reference that leads to no schema that may be used: the code of the defect, and why."""

    why: str
    code: str = defects.UNKNOWN_SCHEMA


Found = Resolved | Missing


def fingerprint(text: str) -> str:
    """CRC-64-AVRO of a schema's canonical form, as hex of its little-endian bytes."""
    canonical = fastavro.schema.to_parsing_canonical_form(json.loads(text))
    digest: str = fastavro.schema.fingerprint(canonical, "CRC-64-AVRO")
    return digest


class SchemaSource:
    """Looks in the shipped contracts, the schema folder, what is kept, and then in the registry.

    `kept` is what this registry has said before: an id means the same schema for ever. No schema
    is ever taken from a message.
    """

    def __init__(
        self,
        config: RegistryConfig,
        kept: Mapping[SchemaRef, str] = MappingProxyType({}),
        limits: LimitsConfig = LIMITS,
    ) -> None:
        self._config = config
        self._limits = limits
        folder = _folder(config.directory) if config.directory else {}
        self._known = {**kept, **folder, **_shipped()}
        self._silent = False

    def resolve(self, refs: Iterable[SchemaRef]) -> dict[SchemaRef, Found]:
        """The schema of every reference, or why there is none; a silent registry is asked once.

        Raises:
            Unavailable: the registry answers, and refuses to be asked.
        """
        return {ref: self._allowed(self._one(ref)) for ref in sorted(set(refs))}

    def _one(self, ref: SchemaRef) -> Found:
        if (text := self._known.get(ref)) is not None:
            return Resolved(text)
        if ref.framing == SINGLE or not self._config.url:
            return Missing(f"{ref} is in no schema folder")
        if self._silent:
            return _unavailable(ref)
        try:
            with _asking(self._config):
                return self._ask(ref)
        except RegistrySilent:
            self._silent = True
            return _unavailable(ref)

    def _ask(self, ref: SchemaRef) -> Found:
        try:
            if ref.framing == CONFLUENT:
                found = self._client.get_schema(int(ref.key))
            else:
                found = self._client.get_schema_by_guid(ref.key)
        except SchemaRegistryError as error:
            if error.http_status_code != _NOT_FOUND:
                raise
            return Missing(f"{ref} is not in the registry")
        return Resolved(found.schema_str or "", answered=True)

    def _allowed(self, found: Found) -> Found:
        why = refusal(found.text, self._limits) if isinstance(found, Resolved) else None
        return Missing(why, defects.SCHEMA_REFUSED) if why else found

    @cached_property
    def _client(self) -> SchemaRegistryClient:
        return _client(self._config)


def _unavailable(ref: SchemaRef) -> Missing:
    why = f"{ref} is not kept here, and the registry did not answer"
    return Missing(why, defects.SCHEMA_UNAVAILABLE)


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
            ids[subject] = client.register_schema(subject, _as_sent(contract.text))
            client.set_compatibility(subject, level="FULL_TRANSITIVE")
    return ids


def schema_id(config: RegistryConfig, topic: str, text: str) -> int:
    """The id of a schema under its topic's value subject; it is registered there if it is not.

    Raises:
        Unavailable: the registry does not answer.
        DataRefused: what the subject holds does not get on with the schema.
    """
    with _asking(config):
        return _client(config).register_schema(f"{topic}-value", _as_sent(text))


def _as_sent(text: str) -> Schema:
    """A schema as confluent-kafka's own serialiser registers it: other blanks are another id."""
    return Schema(text.strip(), "AVRO")


def reachable(config: RegistryConfig) -> str:
    """Where writer schemas come from; raises Unavailable when a registry is set and is silent."""
    if not config.url:
        return f"none; schemas come from {config.directory or 'the shipped contracts'}"
    with _asking(config):
        subjects = _client(config).get_subjects()
    return f"{config.url}: {len(subjects)} subjects"


def _client(config: RegistryConfig) -> SchemaRegistryClient:
    settings = {"url": config.url or "", **revealed(config.properties)}
    seconds = config.timeout.total_seconds()
    return SchemaRegistryClient({"timeout": seconds, "max.retries": 1, **settings})


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
        raise _down(config, error, silent=error.http_status_code in _BUSY) from error
    except (httpx2.TransportError, ValueError) as error:
        raise _down(config, error, silent=isinstance(error, httpx2.TransportError)) from error


def _down(config: RegistryConfig, error: Exception, *, silent: bool) -> Unavailable:
    kind = RegistrySilent if silent else Unavailable
    where = config.name or "(registry.url is not set)"
    return kind(
        f"the schema registry {where} does not answer: {error}",
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
