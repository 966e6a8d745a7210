"""No secret of a connector's configuration is kept, wherever it stands; what is no secret is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.domain.connector_config import REDACTED, without_secrets

FIRST, LAST = "hunter2", "geheim"
secrets = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=8).map(lambda t: f"{FIRST}{t}{LAST}")
words = st.from_regex(r"[a-z]{1,7}", fullmatch=True)
REFERENCE = "${file:/etc/kafka/secrets.properties:password}"
prefixes = st.sampled_from(["", "producer.override.", "consumer.", "admin.override.", "value.converter.", "database."])
NAMES = [
    "password",
    "ssl.keystore.password",
    "ssl.key.password",
    "ssl.truststore.password",
    "ssl.keystore.key",
    "sasl.jaas.config",
    "sasl.oauthbearer.client.credentials.client.secret",
    "basic.auth.user.info",
    "schema.registry.basic.auth.user.info",
    "aws.access.key.id",
    "aws.secret.access.key",
    "azure.eventhubs.sas.keyname.token",
    "azure.storage.account.key",
    "connection.uri",
    "connection.url",
    "mongodb.connection.string",
    "private.key",
    "privateKey",
    "snowflake.private.key.passphrase",
    "api.key",
    "apikey",
    "gcs.credentials.json",
    "token",
    "http.authorization.header",
    "headers",
    "ftp.pass",
    "db.pwd",
    "KEY",
]
"""Of Kafka's clients, and of connectors for JDBC, S3, Azure, MongoDB, Snowflake, Splunk, HTTP and FTP."""
names = st.builds("{}{}".format, prefixes, st.sampled_from(NAMES))
module = "org.apache.kafka.common.security.scram.ScramLoginModule"


@st.composite
def jaas(draw: st.DrawFn) -> str:
    """With a secret somewhere among references."""
    settings = draw(st.lists(st.tuples(words, st.sampled_from([REFERENCE, "${env:X}", "drkit"])), max_size=3).map(dict))
    settings[draw(words)] = draw(secrets)
    quote = draw(st.sampled_from(['"', "'", ""]))
    listed = draw(st.permutations(list(settings.items())))
    control = draw(st.sampled_from(["required", "optional", "sufficient"]))
    return f"{module} {control} " + " ".join(f"{name}={quote}{value}{quote}" for name, value in listed) + ";"


@st.composite
def telling(draw: st.DrawFn) -> str:
    """A secret behind something that tells it."""
    frame = draw(
        st.sampled_from(
            [
                "https://user:{}@host/path",
                "https://{}@host",
                "http://a:b@one,http://c:{}@two",
                "jdbc:postgresql://db/orders?user=app&password={}",
                "https://x.blob.core.windows.net/?sv=1&sig={}",
                "user=app;Password = {}",
                '{"user": "app", "apiKey": "{}"}',
                "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
                "Authorization: Bearer {}",
                "Basic {}",
                REFERENCE + " password={}",
            ]
        )
    )
    # In a URL a blank ends it, and quotes end what is quoted.
    return frame.replace("{}", draw(secrets.map(lambda text: "".join(text.split()).replace('"', ""))))


def _leaks(config: dict[str, str]) -> bool:
    kept = repr(without_secrets(config))
    return FIRST in kept or LAST in kept


@given(names, secrets | jaas())
def test_a_value_under_a_name_that_tells_is_not_kept(name: str, value: str) -> None:
    assert without_secrets({name: value}) == {name: REDACTED}


@given(words, telling() | jaas())
def test_a_secret_that_its_surroundings_tell_is_not_kept_under_any_name(name: str, value: str) -> None:
    assert not _leaks({name: value})


@given(names, st.sampled_from([REFERENCE, "${aws:orders/mirror:password}", " ${env:PASSWORD} "]))
def test_a_reference_is_kept(name: str, reference: str) -> None:
    assert without_secrets({name: reference}) == {name: reference}


@given(names, st.sampled_from([REFERENCE, "${env:PASSWORD}"]), secrets)
def test_what_has_more_than_a_reference_is_not_kept(name: str, reference: str, secret: str) -> None:
    assert without_secrets({name: reference + secret}) == {name: REDACTED}
    assert without_secrets({name: secret + reference}) == {name: REDACTED}


@pytest.mark.parametrize(
    "value",
    [
        f'{module} required username="mirror" password="{REFERENCE}";',
        f"{module} required username='mirror' password='{REFERENCE}'",
        f'{module} required username="{REFERENCE}"  password = "{REFERENCE}" ;',
    ],
)
def test_a_jaas_configuration_of_references_is_kept(value: str) -> None:
    assert without_secrets({"sasl.jaas.config": value}) == {"sasl.jaas.config": value}


def test_the_rest_of_a_mirror_is_kept() -> None:
    config = {
        "name": "mirror",
        "connector.class": "org.apache.kafka.connect.mirror.MirrorSourceConnector",
        "source.cluster.bootstrap.servers": "b-1.example:9096,b-2.example:9096",
        "source.cluster.sasl.mechanism": "SCRAM-SHA-512",
        "key.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
        "topics": r"shop\.staging\..*",
        "tasks.max": "8",
        "url": "https://registry.example/v1",
        "empty.password": "",
    }
    assert without_secrets(config) == config
    assert list(without_secrets(config)) == sorted(config)


def test_what_is_no_text_does_not_stop_it() -> None:
    assert without_secrets({"tasks.max": 8, "password": 1234}) == {"tasks.max": "8", "password": REDACTED}
