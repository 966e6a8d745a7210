"""A DNS server on loopback, over UDP and TCP on one port, that answers as told."""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from dnslib import CNAME, QTYPE, RCODE, RR, TXT, A, DNSRecord

Records = Callable[[str, str], list[str] | None]
"""Values of a name (without a dot at its end) and type; None for a name that does not exist."""


@dataclass
class FakeNameServer:
    """``records`` holds the truth; the rest is what is wrong with the server."""

    address: str
    records: Records
    rcode: str = "NOERROR"
    is_silent: bool = False
    ignore_udp: int = 0
    """How many datagrams are lost."""
    truncates: bool = False
    """Whether UDP answers are cut, so that the client has to come by TCP."""
    asked: list[str] = field(default_factory=list)
    """``udp`` or ``tcp``, for each question."""

    def respond(self, question: bytes, *, is_udp: bool) -> bytes | None:
        """The answer to one question in wire format, or silence."""
        self.asked.append("udp" if is_udp else "tcp")
        if self.is_silent:
            return None
        if is_udp and self.ignore_udp:
            self.ignore_udp -= 1
            return None
        asked = DNSRecord.parse(question)
        answer = asked.reply(ra=0)
        if is_udp and self.truncates:
            answer.header.tc = 1
            return bytes(answer.pack())
        name, record_type = str(asked.q.qname).removesuffix("."), QTYPE[asked.q.qtype]
        values = self.records(name, record_type)
        if values is None and self.rcode == "NOERROR":
            answer.header.rcode = RCODE.NXDOMAIN
        else:
            answer.header.rcode = getattr(RCODE, self.rcode)
            for value in values or () if self.rcode == "NOERROR" else ():
                answer.add_answer(_record(str(asked.q.qname), record_type, value))
        return bytes(answer.pack())


@contextmanager
def dns_server(records: Records) -> Iterator[FakeNameServer]:
    """A name server on a free port of 127.0.0.1."""

    class Udp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            question, sock = self.request
            answer = server.respond(question, is_udp=True)
            if answer is not None:
                sock.sendto(answer, self.client_address)

    class Tcp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            (length,) = struct.unpack("!H", self.rfile.read(2))
            answer = server.respond(self.rfile.read(length), is_udp=False)
            if answer is not None:
                self.wfile.write(struct.pack("!H", len(answer)) + answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tcp) as tcp:
        port = tcp.server_address[1]
        server = FakeNameServer(f"127.0.0.1:{port}", records)
        with socketserver.UDPServer(("127.0.0.1", port), Udp) as udp:
            threads = [threading.Thread(target=s.serve_forever, kwargs={"poll_interval": 0.02}) for s in (tcp, udp)]
            for thread in threads:
                thread.start()
            try:
                yield server
            finally:
                for listener in (tcp, udp):
                    listener.shutdown()
                for thread in threads:
                    thread.join()


def _record(name: str, record_type: str, value: str) -> RR:
    if record_type == "TXT":
        raw = value.encode()
        rdata = TXT([raw[i : i + 255] for i in range(0, len(raw), 255)] or [b""])
    else:
        rdata = {"A": A, "CNAME": CNAME}[record_type](value)
    return RR(name, getattr(QTYPE, record_type), rdata=rdata, ttl=5)
