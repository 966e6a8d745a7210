"""Name servers that answer, and that do not."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import dns.resolver
import pytest

from drkit.adapters.dns.answers import Answer, ask_local_resolver, ask_server, ask_servers
from tests.fakes.dns_server import FakeNameServer, dns_server

ZONE = {
    ("kafka.example.com", "A"): ["10.0.0.2", "10.0.0.1"],
    ("alias.example.com", "CNAME"): ["Kafka.Example.com."],
    ("text.example.com", "TXT"): ["b" * 300, "a, ü"],
}


@pytest.fixture
def server() -> Iterator[FakeNameServer]:
    names = {name for name, _ in ZONE}
    with dns_server(lambda name, kind: ZONE.get((name, kind), []) if name in names else None) as one:
        yield one


def test_addresses_are_sorted(server: FakeNameServer) -> None:
    for name in ("kafka.example.com", "kafka.example.com."):
        assert ask_server(server.address, name, "A", seconds=2) == Answer(("10.0.0.1", "10.0.0.2"))


def test_names_are_in_lower_case_without_a_dot(server: FakeNameServer) -> None:
    assert ask_server(server.address, "alias.example.com", "CNAME", seconds=2) == Answer(("kafka.example.com",))


def test_strings_are_joined(server: FakeNameServer) -> None:
    assert ask_server(server.address, "text.example.com", "TXT", seconds=2) == Answer(("a, ü", "b" * 300))


def test_a_cut_answer_is_fetched_by_tcp(server: FakeNameServer) -> None:
    server.truncates = True
    assert ask_server(server.address, "kafka.example.com", "A", seconds=2).values == ("10.0.0.1", "10.0.0.2")
    assert server.asked == ["udp", "tcp"]


def test_a_lost_datagram_is_sent_again(server: FakeNameServer) -> None:
    server.ignore_udp = 1
    assert ask_server(server.address, "kafka.example.com", "A", seconds=1).values == ("10.0.0.1", "10.0.0.2")
    assert server.asked == ["udp", "udp"]


def test_a_silent_server_is_given_up_at_the_deadline(server: FakeNameServer) -> None:
    server.is_silent = True
    started = time.monotonic()
    answer = ask_server(server.address, "kafka.example.com", "A", seconds=0.4)
    assert 0.3 < time.monotonic() - started < 1.5
    assert answer == Answer((), f"{server.address} did not answer within 0.4 s")


def test_silent_servers_are_waited_for_together(server: FakeNameServer) -> None:
    server.is_silent = True
    with dns_server(lambda name, kind: ["10.0.0.1"]) as other:
        sockets = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(3)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        silent = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
        started = time.monotonic()
        answers = ask_servers([*silent, other.address], "kafka.example.com", "A", seconds=0.5)
        assert time.monotonic() - started < 1.5
        for one in sockets:
            one.close()
    assert list(answers) == [*silent, other.address]
    assert [answer.values for answer in answers.values()] == [(), (), (), ("10.0.0.1",)]
    assert all("did not answer" in answers[name].reason for name in silent)


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED"])
def test_a_server_that_fails_is_named(server: FakeNameServer, rcode: str) -> None:
    server.rcode = rcode
    assert ask_server(server.address, "kafka.example.com", "A", seconds=2) == Answer((), rcode)


def test_a_name_that_does_not_exist(server: FakeNameServer) -> None:
    assert ask_server(server.address, "none.example.com", "A", seconds=2) == Answer((), "NXDOMAIN")


def test_a_name_without_such_a_record(server: FakeNameServer) -> None:
    assert ask_server(server.address, "text.example.com", "A", seconds=2) == Answer((), "no A record")


def test_nobody_listens() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    answer = ask_server(f"127.0.0.1:{port}", "kafka.example.com", "A", seconds=0.3)
    assert answer.values == ()
    assert answer.reason


@pytest.mark.parametrize("server", ["127.0.0.1:port", "127.0.0.1:99999", "[::1", "", "a..b:53"])
def test_a_server_that_cannot_be_asked(server: str) -> None:
    answer = ask_server(server, "kafka.example.com", "A", seconds=0.3)
    assert answer.values == ()
    assert answer.reason


def test_a_server_by_name(server: FakeNameServer) -> None:
    port = server.address.rpartition(":")[2]
    assert ask_server(f"localhost:{port}", "kafka.example.com", "A", seconds=2).values == ("10.0.0.1", "10.0.0.2")


@pytest.fixture
def resolver(server: FakeNameServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNameServer:
    """This machine's resolver is the fake server."""
    host, port = server.address.split(":")
    settings = tmp_path / "resolv.conf"
    settings.write_text(f"nameserver {host}\n")

    class Here(dns.resolver.Resolver):
        def __init__(self) -> None:
            super().__init__(filename=str(settings))
            self.port = int(port)

    monkeypatch.setattr(dns.resolver, "Resolver", Here)
    return server


def test_the_local_resolver(resolver: FakeNameServer) -> None:
    assert ask_local_resolver("kafka.example.com", "A", seconds=2) == Answer(("10.0.0.1", "10.0.0.2"))
    assert ask_local_resolver("none.example.com", "A", seconds=2) == Answer((), "NXDOMAIN")
    assert ask_local_resolver("text.example.com", "A", seconds=2) == Answer((), "no A record")


def test_a_silent_local_resolver(resolver: FakeNameServer) -> None:
    resolver.is_silent = True
    answer = ask_local_resolver("kafka.example.com", "A", seconds=0.3)
    assert answer.values == ()
    assert "local resolver" in answer.reason
