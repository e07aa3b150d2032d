"""One set of properties means the same to both kinds of client, or is refused."""

from __future__ import annotations

import pytest

from processor.config import KafkaConfig
from processor.errors import ConfigError
from processor.kafka.security import java, native
from processor.sections import Secret

Value = str | float | bool | Secret


def kafka(**properties: Value) -> KafkaConfig:
    named = {key.replace("__", "."): value for key, value in properties.items()}
    return KafkaConfig.model_validate({"bootstrap_servers": "b:1", "properties": named})


def test_nothing_set_is_the_address_alone() -> None:
    assert native(kafka()) == java(kafka()) == {"bootstrap.servers": "b:1"}


def test_sasl_becomes_jaas_and_its_secret_is_in_no_other_property(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BFP_TEST_SECRET", 'p"ss\\word')
    config = kafka(
        security__protocol="SASL_SSL",
        sasl__mechanism="SCRAM-SHA-512",
        sasl__username="me",
        sasl__password=Secret(env="BFP_TEST_SECRET"),
    )
    assert native(config)["sasl.password"] == 'p"ss\\word'
    assert java(config) == {
        "bootstrap.servers": "b:1",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required "
        'username="me" password="p\\"ss\\\\word";',
    }


def test_plain_is_the_mechanism_where_none_is_named() -> None:
    assert (
        ".plain.PlainLoginModule required" in java(kafka(sasl__username="me"))["sasl.jaas.config"]
    )


def test_a_mechanism_without_a_login_is_refused() -> None:
    with pytest.raises(ConfigError, match="GSSAPI"):
        java(kafka(sasl__username="me", sasl__mechanism="GSSAPI"))


def test_an_authority_in_pem_is_a_truststore_in_java() -> None:
    config = kafka(ssl__ca__location="/ca.pem")
    assert native(config)["ssl.ca.location"] == "/ca.pem"
    assert java(config) == {
        "bootstrap.servers": "b:1",
        "ssl.truststore.location": "/ca.pem",
        "ssl.truststore.type": "PEM",
    }


def test_what_java_has_no_word_for_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"enable\.ssl\.certificate\.verification"):
        java(kafka(enable__ssl__certificate__verification=False))
