from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from dnslib import QTYPE, RCODE, DNSRecord

from drkit.sandbox.dns_server import RecordSet, Route53Zones, Zone, ZoneResolver


class Zones(Route53Zones):
    """Zones that are given, or an AWS that does not answer."""

    def __init__(self, *zones: Zone) -> None:
        self._zones = list(zones)

    def current(self) -> list[Zone]:
        if not self._zones:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
        return self._zones


ZONE = Zone(
    "a.internal.",
    {
        "kafka.a.internal.": {"A": RecordSet("A", 7, ("127.0.0.2", "127.0.0.3"))},
        "alias.a.internal.": {"CNAME": RecordSet("CNAME", 5, ("KAFKA.a.internal",))},
        "away.a.internal.": {"CNAME": RecordSet("CNAME", 5, ("kafka.example.com.",))},
        "loop.a.internal.": {"CNAME": RecordSet("CNAME", 5, ("loop.a.internal.",))},
        "text.a.internal.": {"TXT": RecordSet("TXT", 5, (r'"127.0.0.1:20002" "a \"b\" \\ \101"',))},
        "weighted.a.internal.": {"A": None},
        "x.deep.a.internal.": {"A": RecordSet("A", 5, ("127.0.0.4",))},
    },
)
CHILD = Zone("child.a.internal.", {"kafka.child.a.internal.": {"A": RecordSet("A", 5, ("127.0.0.9",))}})


def ask(name: str, kind: str = "A", zones: Zones | None = None) -> Any:
    resolver = ZoneResolver(zones or Zones(ZONE, CHILD))
    return resolver.resolve(DNSRecord.question(name, kind), None)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("kafka.a.internal", "A", ["A 127.0.0.2", "A 127.0.0.3"]),
        ("Kafka.A.Internal", "A", ["A 127.0.0.2", "A 127.0.0.3"]),
        ("alias.a.internal", "A", ["CNAME kafka.a.internal.", "A 127.0.0.2", "A 127.0.0.3"]),
        ("alias.a.internal", "CNAME", ["CNAME kafka.a.internal."]),
        ("away.a.internal", "A", ["CNAME kafka.example.com."]),
        ("text.a.internal", "TXT", [r'TXT "127.0.0.1:20002","a "b" \ A"']),
        ("kafka.child.a.internal", "A", ["A 127.0.0.9"]),
    ],
)
def test_answers(name: str, kind: str, expected: list[str]) -> None:
    reply = ask(name, kind)
    assert reply.header.rcode == RCODE.NOERROR
    assert reply.header.aa == 1
    found = [f"{QTYPE[record.rtype]} {record.rdata}" for record in reply.rr]
    assert [text.lower() for text in found] == [text.lower() for text in expected]


@pytest.mark.parametrize(
    ("name", "kind", "rcode"),
    [
        ("kafka.a.internal", "TXT", RCODE.NOERROR),
        ("deep.a.internal", "A", RCODE.NOERROR),
        ("nothing.a.internal", "A", RCODE.NXDOMAIN),
        ("afka.a.internal", "A", RCODE.NXDOMAIN),
    ],
)
def test_no_answer_comes_with_a_soa_that_is_soon_forgotten(name: str, kind: str, rcode: int) -> None:
    reply = ask(name, kind)
    assert reply.header.rcode == rcode
    assert reply.rr == []
    assert [(QTYPE[record.rtype], record.ttl) for record in reply.auth] == [("SOA", 1)]


def test_what_is_not_in_a_zone_is_refused() -> None:
    for name in ("example.com", "xa.internal"):
        reply = ask(name)
        assert (reply.header.rcode, reply.header.aa) == (RCODE.REFUSED, 0)


@pytest.mark.parametrize("name", ["weighted.a.internal", "loop.a.internal"])
def test_what_cannot_be_answered_fails_openly(name: str) -> None:
    reply = ask(name)
    assert (reply.header.rcode, reply.rr) == (RCODE.SERVFAIL, [])


def test_without_aws_there_is_no_answer() -> None:
    assert ask("kafka.a.internal", zones=Zones()).header.rcode == RCODE.SERVFAIL


def test_a_dead_aws_is_asked_once_in_a_while_not_by_every_query() -> None:
    calls = 0

    class Dead:
        def get_paginator(self, _: str) -> Any:
            nonlocal calls
            calls += 1
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")

    zones: Any = Route53Zones(Dead())  # type: ignore[arg-type]  # all of it that is used
    for _ in range(5):
        with pytest.raises(EndpointConnectionError):
            zones.current()
    assert calls == 1
