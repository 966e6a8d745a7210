"""What DNS servers answer for a name, asked one by one: no cache, no search list, a deadline for each."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from dns.message import Message
    from dns.rdata import Rdata

RecordType = Literal["A", "CNAME", "TXT"]

LOCAL_RESOLVER = "resolver"
"""How the answer of this machine's own resolver is called."""
_PORT = 53
_UDP_SHARE = 0.4
"""Part of the deadline after which a question is sent again: the first datagram, or its answer, may be lost."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Sorted values of one record set, or none and why. TXT strings are joined; names end without a dot."""

    values: tuple[str, ...]
    reason: str = ""


def ask_servers(
    servers: Collection[str], name: str, record_type: RecordType, *, seconds: float
) -> Mapping[str, Answer]:
    """Ask each server (``host[:port]``, ``[v6]:port``) at the same time, each for ``seconds`` at most; never raises."""
    ask = partial(ask_server, name=name, record_type=record_type, seconds=seconds)
    if len(servers) < 2:
        return {server: ask(server) for server in servers}
    with ThreadPoolExecutor(max_workers=min(8, len(servers))) as pool:
        return dict(zip(servers, pool.map(ask, servers), strict=True))


def ask_server(server: str, name: str, record_type: RecordType, *, seconds: float) -> Answer:
    """Ask one server over UDP, and over TCP where its answer was cut; never raises."""
    import dns.exception

    deadline = time.monotonic() + seconds
    try:
        host, port = _split(server)
        return _answer(_exchange(_addresses(host, seconds), port, name, record_type, deadline), name, record_type)
    except dns.exception.Timeout:
        return Answer((), f"{server} did not answer within {seconds:g} s")
    except (dns.exception.DNSException, OSError, ValueError) as error:
        return Answer((), f"{server}: {type(error).__name__}: {error}")


def ask_local_resolver(name: str, record_type: RecordType, *, seconds: float) -> Answer:
    """What this machine's resolver says, which may be as old as the record's TTL; never raises."""
    import dns.exception
    import dns.resolver

    try:
        resolver = dns.resolver.Resolver()
        found = resolver.resolve(_absolute(name), record_type, lifetime=seconds, raise_on_no_answer=False)
        return _answer(found.response, name, record_type)
    except dns.resolver.NXDOMAIN:
        return Answer((), "NXDOMAIN")
    except (dns.exception.DNSException, OSError) as error:
        return Answer((), f"the local resolver: {error}")


def _exchange(addresses: list[str], port: int, name: str, record_type: RecordType, deadline: float) -> Message:
    import dns.exception
    import dns.flags
    import dns.message
    import dns.query

    # Without EDNS: an old server cannot stumble over it, and what does not fit into 512 bytes comes by TCP.
    query = dns.message.make_query(_absolute(name), record_type)
    remaining = deadline - time.monotonic()
    failed: Exception | None = None
    for attempt, timeout in enumerate((remaining * _UDP_SHARE, remaining * (1 - _UDP_SHARE))):
        address = addresses[attempt % len(addresses)]
        try:
            response = dns.query.udp(query, address, timeout, port, ignore_unexpected=True, ignore_errors=True)
            if response.flags & dns.flags.TC:
                return dns.query.tcp(query, address, max(0.0, deadline - time.monotonic()), port)
        except (dns.exception.Timeout, OSError) as error:
            failed = error
        else:
            return response
    raise failed or ValueError("no address")


def _answer(response: Message, name: str, record_type: RecordType) -> Answer:
    import dns.name
    import dns.rcode
    import dns.rdataclass
    import dns.rdatatype

    if response.rcode() != dns.rcode.NOERROR:
        return Answer((), dns.rcode.to_text(response.rcode()))
    wanted = dns.rdatatype.from_text(record_type)
    found = response.get_rrset(response.answer, dns.name.from_text(name), dns.rdataclass.IN, wanted)
    if found is None:
        others = ", ".join(sorted({dns.rdatatype.to_text(other.rdtype) for other in response.answer}))
        return Answer((), f"no {record_type} record" + (f", but {others}" if others else ""))
    return Answer(tuple(sorted(_value(rdata, record_type) for rdata in found)))


def _value(rdata: Rdata, record_type: RecordType) -> str:
    if record_type == "TXT":
        strings: tuple[bytes, ...] = rdata.strings  # type: ignore[attr-defined]
        return b"".join(strings).decode("utf-8", errors="backslashreplace")
    return rdata.to_text().lower().removesuffix(".")


def _absolute(name: str) -> str:
    return name.removesuffix(".") + "."


def _split(server: str) -> tuple[str, int]:
    host, port = server, ""
    if server.startswith("["):
        host, _, port = server[1:].partition("]")
        port = port.removeprefix(":")
    elif server.count(":") == 1:
        host, _, port = server.partition(":")
    number = int(port or _PORT)
    if not 0 < number < 1 << 16:
        raise ValueError(f"{number} is no port")
    return host, number


def _addresses(host: str, seconds: float) -> list[str]:
    import dns.resolver

    if host == "localhost":
        return ["127.0.0.1"]
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        found = dns.resolver.Resolver().resolve_name(host, lifetime=seconds).addresses()
        # IPv4 first: it is there also where IPv6 is only half set up.
        return sorted(found, key=lambda address: ":" in address)
