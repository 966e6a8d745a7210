"""A cluster that does not answer, or that refuses drkit's identity: every call says so within its deadline."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, Final

import pytest

from drkit.adapters.kafka.client import Connection
from drkit.adapters.kafka.reader import ConfluentReader
from drkit.adapters.kafka.writer import ConfluentWriter
from drkit.domain.kafka import TopicPartition
from drkit.errors import AuthError, ConfigError, DrkitError, UnreachableError
from drkit.ports import KafkaReader, KafkaWriter, ReadRange
from tests.contracts.kafka_bench import rule
from tests.fakes.kafka import FakeKafka

SECONDS: Final = 0.5
GRACE_SECONDS: Final = 2.5
PARTITION: Final = TopicPartition("orders", 0)
Clients = Callable[[], tuple[KafkaReader, KafkaWriter]]

READS: Final[Mapping[str, Callable[[KafkaReader], object]]] = {
    "describe_cluster": lambda reader: reader.describe_cluster(),
    "topics": lambda reader: reader.topics(),
    "describe_topics": lambda reader: reader.describe_topics(["orders"]),
    "log_ranges": lambda reader: reader.log_ranges([PARTITION]),
    "groups": lambda reader: reader.groups(),
    "describe_groups": lambda reader: reader.describe_groups(["shop"]),
    "foreign_groups": lambda reader: reader.foreign_groups(),
    "hidden_topics": lambda reader: reader.hidden_topics(["shop"]),
    "committed_offsets": lambda reader: reader.committed_offsets(["shop"]),
    "acls": lambda reader: reader.acls(),
    "read": lambda reader: list(reader.read([ReadRange(PARTITION, 0, 1)])),
    "data_offsets": lambda reader: reader.data_offsets([ReadRange(PARTITION, 0, 1)]),
    "tail": lambda reader: reader.tail("orders").catch_up(),
}
WRITES: Final[Mapping[str, Callable[[KafkaWriter], object]]] = {
    "warm_up": lambda writer: writer.warm_up("orders"),
    "create_topic": lambda writer: writer.create_topic("orders", partitions=1, replication_factor=1, configs={}),
    "alter_topic_configs": lambda writer: writer.alter_topic_configs("orders", {"retention.ms": "1"}),
    "alter_group_offsets": lambda writer: writer.alter_group_offsets("shop", {PARTITION: 1}),
    "delete_group": lambda writer: writer.delete_group("shop"),
    "create_acls": lambda writer: writer.create_acls([rule("topic", "orders", "write", "deny")]),
    "delete_acls": lambda writer: writer.delete_acls([rule("topic", "orders", "write", "deny")]),
    "probe_write": lambda writer: writer.probe_write("orders", b"x"),
    "probe_commit": lambda writer: writer.probe_commit("shop", PARTITION, 0),
}


def _settings(address: str) -> dict[str, Any]:
    return {"bootstrap.servers": address, "security.protocol": "PLAINTEXT"}


@pytest.fixture(params=["fake", "refused", "silent"])
def dead(request: pytest.FixtureRequest) -> Iterator[Clients]:
    """Clients of a cluster that is dark: nobody listens there, or nobody answers."""
    if request.param == "fake":
        fake = FakeKafka("here")
        fake.is_dark = True
        yield lambda: (fake, fake)
        return
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        if request.param == "silent":
            listener.listen()
        settings = _settings(f"127.0.0.1:{listener.getsockname()[1]}")
        yield lambda: _clients(settings)


@pytest.fixture(params=[pytest.param("real", marks=pytest.mark.sandbox)])
def strangers(request: pytest.FixtureRequest) -> Clients:
    """Clients whose password is wrong."""
    settings = {**request.getfixturevalue("drkit_settings"), "sasl.password": "wrong"}
    # Twenty at once on a busy machine take a while to be refused.
    return lambda: _clients(settings, seconds=5)


def _clients(settings: Mapping[str, Any], *, seconds: float = SECONDS) -> tuple[KafkaReader, KafkaWriter]:
    connection = Connection("here", settings, seconds)
    return ConfluentReader(connection), ConfluentWriter(connection)


def _outcomes(clients: Clients) -> dict[str, tuple[type | None, float]]:
    """The error of every method of both ports, and how long it took."""

    def run(name: str) -> tuple[type | None, float]:
        reader, writer = clients()
        started = time.monotonic()
        try:
            if name in READS:
                READS[name](reader)
            else:
                WRITES[name](writer)
        except DrkitError as error:
            return type(error), time.monotonic() - started
        return None, time.monotonic() - started

    names = [*READS, *WRITES]
    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(run, names), strict=True))


def test_every_method_is_asked_here() -> None:
    ports = {name for port in (KafkaReader, KafkaWriter) for name in vars(port) if not name.startswith("_")}
    assert {*READS, *WRITES} == ports - {"region"}


def test_every_call_of_a_dead_cluster_says_so_in_time(dead: Clients) -> None:
    found = _outcomes(dead)
    assert {name: error for name, (error, _) in found.items()} == dict.fromkeys(found, UnreachableError)
    late = {name: seconds for name, (_, seconds) in found.items() if seconds > SECONDS + GRACE_SECONDS}
    assert late == {}


def test_settings_that_make_no_client_are_a_configuration_error() -> None:
    settings = {**_settings("127.0.0.1:1"), "security.protocol": "SSL", "ssl.ca.location": "/nowhere/ca.pem"}
    with pytest.raises(ConfigError, match=r"ssl\.ca\.location"):
        _clients(settings)[0].describe_cluster()


def test_every_call_of_a_stranger_is_an_authentication_error(strangers: Clients) -> None:
    found = _outcomes(strangers)
    assert {name: error for name, (error, _) in found.items()} == dict.fromkeys(found, AuthError)
