"""One set of client properties, in librdkafka's names, for both kinds of client."""

from __future__ import annotations

from processor.config import KafkaConfig
from processor.errors import ConfigError
from processor.sections import revealed

_SAME_IN_JAVA = {
    "security.protocol",
    "sasl.mechanism",
    "client.id",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.key.password",
    "ssl.endpoint.identification.algorithm",
}
_PEM_IN_JAVA = {
    "ssl.ca.location": ("ssl.truststore.location", "ssl.truststore.type"),
}
_JAAS = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}
_CREDENTIALS = {"sasl.username", "sasl.password"}


def native(config: KafkaConfig) -> dict[str, str]:
    """Properties for confluent-kafka."""
    return {"bootstrap.servers": config.bootstrap_servers, **revealed(config.properties)}


def java(config: KafkaConfig) -> dict[str, str]:
    """Properties for Java clients, such as Spark's.

    Raises:
        ConfigError: a property has no known counterpart, so that ignoring it could be unsafe.
    """
    given = revealed(config.properties)
    out = {"bootstrap.servers": config.bootstrap_servers}
    for key, value in given.items():
        if key in _SAME_IN_JAVA:
            out[key] = value
        elif key in _PEM_IN_JAVA:
            location, kind = _PEM_IN_JAVA[key]
            out |= {location: value, kind: "PEM"}
        elif key not in _CREDENTIALS:
            raise ConfigError(
                f"kafka.properties.{key} has no known counterpart for Spark's client",
                remedy=f"use only {', '.join(sorted(_SAME_IN_JAVA | _CREDENTIALS))}",
            )
    if "sasl.username" in given:
        out["sasl.jaas.config"] = _jaas(given)
    return out


def _jaas(given: dict[str, str]) -> str:
    mechanism = given.get("sasl.mechanism", "PLAIN")
    if mechanism not in _JAAS:
        raise ConfigError(
            f"sasl.mechanism {mechanism} is not supported", remedy=f"use one of {sorted(_JAAS)}"
        )
    user, password = (_quoted(given.get(key, "")) for key in ("sasl.username", "sasl.password"))
    return f"{_JAAS[mechanism]} required username={user} password={password};"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
