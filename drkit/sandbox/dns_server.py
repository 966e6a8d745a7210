"""The sandbox's DNS server: it answers, over UDP and TCP, from the zones of the simulated Route 53.

Run as ``python -m drkit.sandbox.dns_server HOST PORT AWS_URL``. A change is seen within a fraction of a second. While
the simulated AWS does not answer, neither does DNS (SERVFAIL): at AWS the two fail independently, here they are one.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import dnslib
from botocore.exceptions import BotoCoreError, ClientError
from dnslib import QTYPE, RCODE, RR, DNSRecord
from dnslib.server import BaseResolver, DNSHandler, DNSLogger, DNSServer

from drkit.sandbox.aws_client import aws_client

if TYPE_CHECKING:
    from types_boto3_route53 import Route53Client
    from types_boto3_route53.type_defs import ResourceRecordSetOutputTypeDef

_CACHE_SECONDS: Final = 0.2
_AWS_SECONDS: Final = 2.0
_LONGEST_CHAIN: Final = 8
_NEGATIVE_TTL_SECONDS: Final = 1
_SERVED: Final = ("A", "CNAME", "TXT")
_CHARACTER_STRING: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')


class UnservableError(Exception):
    """A record set that needs a routing policy or an alias, which are not simulated."""


@dataclass(frozen=True, slots=True)
class RecordSet:
    """A simple record set; ``values`` as Route 53 writes them."""

    type: str
    ttl_seconds: int
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone's record sets by lower-case absolute name and type. None marks one that cannot be served."""

    name: str
    records: Mapping[str, Mapping[str, RecordSet | None]]

    def exists(self, name: str) -> bool:
        """Whether there is a record at the name or below it."""
        return name in self.records or any(known.endswith(f".{name}") for known in self.records)


class Route53Zones:
    """All zones of the simulated Route 53, seen at most ``_CACHE_SECONDS`` ago."""

    def __init__(self, client: Route53Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._seen_at = float("-inf")
        self._seen: list[Zone] | BotoCoreError | ClientError = []

    def current(self) -> list[Zone]:
        """The zones. Raises what the AWS client raises."""
        with self._lock:
            if time.monotonic() - self._seen_at > _CACHE_SECONDS:
                try:
                    self._seen = self._read()
                except (BotoCoreError, ClientError) as error:
                    # Remembered as well: queries that wait here need not each run into the deadline.
                    self._seen = error
                self._seen_at = time.monotonic()
            if isinstance(self._seen, Exception):
                raise self._seen
            return self._seen

    def _read(self) -> list[Zone]:
        pages = self._client.get_paginator("list_hosted_zones").paginate()
        return [self._zone(item["Name"], item["Id"]) for page in pages for item in page["HostedZones"]]

    def _zone(self, name: str, zone_id: str) -> Zone:
        records: dict[str, dict[str, RecordSet | None]] = {}
        for page in self._client.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone_id):
            for item in page["ResourceRecordSets"]:
                records.setdefault(item["Name"].lower(), {})[item["Type"]] = _record_set(item)
        return Zone(name.lower(), records)


def _record_set(item: ResourceRecordSetOutputTypeDef) -> RecordSet | None:
    if "SetIdentifier" in item or "AliasTarget" in item:
        return None
    return RecordSet(item["Type"], item["TTL"], tuple(record["Value"] for record in item["ResourceRecords"]))


class ZoneResolver(BaseResolver):  # type: ignore[misc]  # dnslib has no types
    """Authoritative answers: REFUSED outside the zones, NXDOMAIN and empty answers with the SOA, CNAMEs followed."""

    def __init__(self, zones: Route53Zones) -> None:
        self._zones = zones

    def resolve(self, request: DNSRecord, handler: DNSHandler) -> DNSRecord:
        """Answer one query."""
        reply = request.reply(ra=0)
        name = str(request.q.qname).lower()
        try:
            zones = [zone for zone in self._zones.current() if f".{name}".endswith(f".{zone.name}")]
            if not zones:
                reply.header.aa = 0
                reply.header.rcode = RCODE.REFUSED
            else:
                _answer(reply, max(zones, key=lambda zone: len(zone.name)), name, QTYPE[request.q.qtype])
        except (BotoCoreError, ClientError, UnservableError, ValueError, dnslib.DNSError) as error:
            print(f"SERVFAIL {name}: {type(error).__name__}: {error}", flush=True)  # noqa: T201 - into its own log
            reply = request.reply(ra=0, aa=0)
            reply.header.rcode = RCODE.SERVFAIL
        return reply


def _answer(reply: DNSRecord, zone: Zone, name: str, wanted: str) -> None:
    for _ in range(_LONGEST_CHAIN):
        here = zone.records.get(name, {})
        kinds = [kind for kind in _SERVED if kind in here and wanted in (kind, "ANY")]
        follows = not kinds and "CNAME" in here
        for kind in ["CNAME"] if follows else kinds:
            reply.add_answer(*_resource_records(name, kind, here[kind]))
        if kinds:
            return
        if not follows:
            _answer_nothing(reply, zone, name, wanted)
            return
        name = str(reply.rr[-1].rdata).lower()
        if not f".{name}".endswith(f".{zone.name}"):
            return
    raise UnservableError(f"more than {_LONGEST_CHAIN} CNAMEs in a row")


def _answer_nothing(reply: DNSRecord, zone: Zone, name: str, wanted: str) -> None:
    soa = dnslib.SOA(
        mname=f"ns.{zone.name}", rname=f"hostmaster.{zone.name}", times=(1, 7200, 900, 1209600, _NEGATIVE_TTL_SECONDS)
    )
    record = RR(zone.name, QTYPE.SOA, rdata=soa, ttl=_NEGATIVE_TTL_SECONDS)
    if wanted == "SOA" and name == zone.name:
        reply.add_answer(record)
        return
    if not zone.exists(name):
        reply.header.rcode = RCODE.NXDOMAIN
    reply.add_auth(record)


def _resource_records(name: str, kind: str, record_set: RecordSet | None) -> list[RR]:
    if record_set is None:
        raise UnservableError(f"{kind} {name} has a routing policy or is an alias: only simple records are simulated")
    return [
        RR(name, getattr(QTYPE, kind), rdata=_rdata(kind, value), ttl=record_set.ttl_seconds)
        for value in record_set.values
    ]


def _rdata(kind: str, value: str) -> dnslib.RD:
    match kind:
        case "A":
            return dnslib.A(value)
        case "CNAME":
            return dnslib.CNAME(value if value.endswith(".") else f"{value}.")
        case _:
            return dnslib.TXT([_unescape(text) for text in _CHARACTER_STRING.findall(value)])


def _unescape(text: str) -> bytes:
    r"""Route 53 writes ``\"``, ``\\`` and, for other bytes, ``\`` with three octal digits."""

    def replacement(match: re.Match[str]) -> str:
        return chr(int(match[1], 8)) if match[1].isdigit() else match[1]

    return re.sub(r"\\([0-7]{3}|.)", replacement, text).encode("latin-1")


class _UdpHandler(DNSHandler):  # type: ignore[misc]  # dnslib has no types
    """Longer answers are truncated, so that the client asks again over TCP (RFC 1035)."""

    udplen = 512


def main() -> None:
    """Serve until the process ends."""
    host, port, aws_url = sys.argv[1:]
    resolver = ZoneResolver(Route53Zones(aws_client("route53", aws_url, deadline_seconds=_AWS_SECONDS)))
    logger = DNSLogger("reply,truncated,error", logf=lambda line: print(line, flush=True))  # noqa: T201
    over_tcp = DNSServer(resolver, address=host, port=int(port), tcp=True, logger=logger)
    over_udp = DNSServer(resolver, address=host, port=int(port), logger=logger, handler=_UdpHandler)
    over_tcp.start_thread()
    over_udp.start()


if __name__ == "__main__":
    main()
