"""Secrets of connectors stay where they are."""

from __future__ import annotations

import pytest

from drkit.domain.connector_config import REDACTED, without_secrets

_REFERENCES = (
    'org.apache.kafka.common.security.scram.ScramLoginModule required username="drkit" password="${file:/x:password}";'
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connection.password", "hunter2"),
        ("ssl.key.password", "hunter2"),
        ("sasl.jaas.config", 'PlainLoginModule required username="a" password="hunter2";'),
        ("sasl.jaas.config", _REFERENCES.replace("${file:/x:password}", "hunter2")),
        ("sasl.jaas.config", _REFERENCES.replace('";', '" extra="hunter2";')),
        ("sasl.jaas.config", _REFERENCES + " hunter2"),
        ("aws.secret.access.key", "hunter2"),
        ("aws.access.key.id", "hunter2"),
        ("oauth.token", "hunter2"),
        ("value.converter.basic.auth.user.info", "user:hunter2"),
        ("ssl.keystore.key", "hunter2"),
        ("database.password", "${file:/x:y}hunter2"),
        ("connection.url", "jdbc:postgresql://db/x?password=hunter2"),
        ("value.converter.schema.registry.url", "https://user:hunter2@registry"),
        ("PASSWORD", "hunter2"),
    ],
)
def test_a_secret_is_not_kept(name: str, value: str) -> None:
    kept = without_secrets({name: value})[name]
    assert "hunter2" not in kept
    assert REDACTED in kept


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connection.password", "${file:/etc/kafka/mirror.properties:password}"),
        ("connection.password", "${aws-sm:secret/key:password}"),
        ("connection.password", ""),
        ("sasl.jaas.config", _REFERENCES),
        ("topics", "orders"),
        ("source.cluster.bootstrap.servers", "b1:9092,b2:9092"),
        ("key.converter", "org.apache.kafka.connect.converters.ByteArrayConverter"),
        ("value.converter.schema.registry.url", "https://registry:8081"),
    ],
)
def test_what_is_no_secret_is_kept(name: str, value: str) -> None:
    assert without_secrets({name: value}) == {name: value}
