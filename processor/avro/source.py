"""Writer schemas: each distinct reference of a batch is looked up once, on the driver."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import fastavro.schema

from processor.avro import defects
from processor.avro.contracts import records, shipped
from processor.avro.framing import CONFLUENT, GUID, SINGLE, SchemaRef
from processor.avro.shape import refusal
from processor.config import LimitsConfig, RegistryConfig
from processor.errors import ConfigError, Unavailable

if TYPE_CHECKING:
    from processor.avro.registry import Registry

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
            return self._registry.schema(ref)
        except RegistrySilent:
            self._silent = True
            return _unavailable(ref)

    def _allowed(self, found: Found) -> Found:
        why = refusal(found.text, self._limits) if isinstance(found, Resolved) else None
        return Missing(why, defects.SCHEMA_REFUSED) if why else found

    @cached_property
    def _registry(self) -> Registry:
        from processor.avro.registry import Registry  # noqa: PLC0415  # slow to import, and seldom asked

        return Registry(self._config)


def _unavailable(ref: SchemaRef) -> Missing:
    why = f"{ref} is not kept here, and the registry did not answer"
    return Missing(why, defects.SCHEMA_UNAVAILABLE)


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
