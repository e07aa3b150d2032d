"""The schema registry: what it says of a reference, and what is registered there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property

import httpx2
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from processor.avro.contracts import Contract
from processor.avro.framing import CONFLUENT, SchemaRef
from processor.avro.source import Found, Missing, RegistrySilent, Resolved
from processor.config import RegistryConfig
from processor.errors import DataRefused, Unavailable
from processor.sections import revealed

_NOT_FOUND, _CONFLICT = 404, 409
_BUSY = (408, 429, *range(500, 600))  # what a registry that is not itself answers with


class Registry:
    """One registry, asked by one client."""

    def __init__(self, config: RegistryConfig) -> None:
        self._config = config

    def schema(self, ref: SchemaRef) -> Found:
        """What the registry says of a reference.

        Raises:
            RegistrySilent: nothing; it is down.
            Unavailable: it answers, and refuses to be asked.
        """
        with _asking(self._config):
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
