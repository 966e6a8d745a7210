"""Every client that a template configures authenticates, by every mechanism, and no secret comes out."""

from __future__ import annotations

import re
from typing import Any

import pytest

from drkit.config.mirror_templates import flow_of, render_connectors, render_dedicated, render_files, render_worker
from drkit.config.models import PlainAuth, Settings, Tls
from drkit.domain.java_properties import parse_properties
from drkit.errors import ConfigError
from tests.unit.config.sample import VALID, changed, settings

REFERENCE = "${file:/etc/kafka/mirror.properties:password}"
PLAIN_MODULE = "org.apache.kafka.common.security.plain.PlainLoginModule"
SCRAM_MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule"
IAM_MODULE = "software.amazon.msk.auth.iam.IAMLoginModule"

AUTH: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, str]]] = [
    ("none", {"mechanism": "none"}, {}, {"security.protocol": "PLAINTEXT"}),
    (
        "tls",
        {"mechanism": "none"},
        {"enabled": True, "ca_file": "/etc/kafka/ca.pem"},
        {
            "security.protocol": "SSL",
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": "/etc/kafka/ca.pem",
        },
    ),
    (
        "plain",
        {"mechanism": "plain", "username": 'mi"r\\ror', "password": f"connect:{REFERENCE}"},
        {},
        {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.jaas.config": f'{PLAIN_MODULE} required username="mi\\"r\\\\ror" password="{REFERENCE}";',
        },
    ),
    (
        "scram",
        {"mechanism": "scram-sha-512", "username": "mirror", "password": f"connect:{REFERENCE}"},
        {"enabled": True},
        {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.jaas.config": f'{SCRAM_MODULE} required username="mirror" password="{REFERENCE}";',
        },
    ),
    (
        "mtls",
        {
            "mechanism": "mtls",
            "certificate_file": "/etc/kafka/mirror.pem",
            "key_file": "/etc/kafka/mirror.key",
            "key_password": f"connect:{REFERENCE}",
            "principal": "User:CN=mirror",
        },
        {"enabled": True},
        {
            "security.protocol": "SSL",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": "${directory:/etc/kafka:mirror.pem}",
            "ssl.keystore.key": "${directory:/etc/kafka:mirror.key}",
            "ssl.key.password": REFERENCE,
        },
    ),
    (
        "iam",
        {"mechanism": "iam", "region": "ap-east-2"},
        {},
        {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "AWS_MSK_IAM",
            "sasl.jaas.config": f"{IAM_MODULE} required;",
            "sasl.client.callback.handler.class": "software.amazon.msk.auth.iam.IAMClientCallbackHandler",
        },
    ),
    (
        "iam with a role",
        {"mechanism": "iam", "region": "ap-east-2", "role_arn": "arn:aws:iam::111122223333:role/mirror"},
        {},
        {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "AWS_MSK_IAM",
            "sasl.jaas.config": (
                f'{IAM_MODULE} required awsRoleArn="arn:aws:iam::111122223333:role/mirror" awsStsRegion="ap-east-2";'
            ),
            "sasl.client.callback.handler.class": "software.amazon.msk.auth.iam.IAMClientCallbackHandler",
        },
    ),
]


def mirrored_with(auth: dict[str, Any], tls: dict[str, Any]) -> Settings:
    document: dict[str, Any] = VALID
    for region in ("taipei", "tokyo"):
        document = changed(f"regions.{region}.cluster.mirror_auth", auth, document)
        document = changed(f"regions.{region}.cluster.mirror_tls", tls, document)
    return settings(document)


def below(prefix: str, config: dict[str, str]) -> dict[str, str]:
    """The security settings under a prefix."""
    pattern = re.compile(re.escape(prefix) + r"((?:security|sasl|ssl)\..*)")
    return {match[1]: value for key, value in config.items() if (match := pattern.fullmatch(key))}


@pytest.mark.parametrize(("auth", "tls", "expected"), [case[1:] for case in AUTH], ids=[case[0] for case in AUTH])
def test_every_client_authenticates(auth: dict[str, Any], tls: dict[str, Any], expected: dict[str, str]) -> None:
    some = mirrored_with(auth, tls)
    flow = flow_of(some, "taipei")
    source, checkpoint, heartbeat = (dict(config) for config in render_connectors(some, flow).values())
    for config in (source, checkpoint):
        for prefix, address in (("source.cluster.", "127.31.1.10:9092"), ("target.cluster.", "127.31.2.10:9092")):
            assert config[f"{prefix}bootstrap.servers"] == address
            assert below(prefix, config) == expected
    for prefix in ("target.cluster.", "producer.override.", "consumer.override.", "admin.override."):
        assert heartbeat[f"{prefix}bootstrap.servers"] == "127.31.1.10:9092"
        assert below(prefix, heartbeat) == expected

    worker = parse_properties(render_files(some, flow, "connect")["worker.properties"])
    assert worker["bootstrap.servers"] == "127.31.2.10:9092"
    assert below("", worker) == expected
    for prefix in ("producer.", "consumer.", "admin."):
        assert below(prefix, worker) == ({} if expected == {"security.protocol": "PLAINTEXT"} else expected)

    dedicated = parse_properties(render_dedicated(some, flow))
    assert below("taipei.", dedicated) == below("tokyo.", dedicated) == expected


def test_drkits_own_secret_is_not_written_out() -> None:
    for reference in ("env:DRKIT_PASSWORD", "file:password"):
        auth = PlainAuth(mechanism="plain", username="mirror", password=reference)
        with pytest.raises(ConfigError) as caught:
            render_worker(bootstrap="a:1", group_id="g", listener="http://a:1", auth=auth)
        assert "connect:${file:" in caught.value.hint
    without = settings(changed("regions.tokyo.cluster.mirror_auth", None))
    with pytest.raises(ConfigError, match="cannot resolve"):
        render_connectors(without, flow_of(without, "taipei"))


@pytest.mark.parametrize("path", ["ca.pem", "~/ca.pem", "/etc/a:b", "/etc/${x}"])
def test_a_file_is_named_as_the_worker_sees_it(path: str) -> None:
    with pytest.raises(ConfigError, match="is no absolute path on the Connect worker's machine"):
        render_worker(bootstrap="a:1", group_id="g", listener="http://a:1", tls=Tls(enabled=True, ca_file=path))
