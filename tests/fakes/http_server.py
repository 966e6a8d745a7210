"""An HTTP server on loopback that misbehaves as told."""

from __future__ import annotations

import http.client
import json
import socketserver
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from socket import SO_LINGER, SOL_SOCKET, socket
from typing import Final
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Request:
    """What a client asked."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


Responder = Callable[[Request, socket], None]
"""Answers one request on its connection; raises ``ConnectionAbortedError`` to end the connection with it."""


class ScriptedHttpServer:
    """The scripted responders answer one request each; then ``default`` answers."""

    def __init__(self, url: str, default: Responder) -> None:
        self.url = url
        self.default = default
        self.requests: list[Request] = []
        self.connections = 0
        self._script: deque[Responder] = deque()

    def on_next(self, *responders: Responder) -> None:
        """Who answers the next requests."""
        self._script.extend(responders)

    def reset(self, default: Responder) -> None:
        """Forget everything."""
        self.default = default
        self.requests = []
        self.connections = 0
        self._script.clear()

    def answer(self, request: Request, connection: socket) -> None:
        """Answer one request."""
        self.requests.append(request)
        (self._script.popleft() if self._script else self.default)(request, connection)


@contextmanager
def http_server(default: Responder) -> Iterator[ScriptedHttpServer]:
    """A server on a free port of 127.0.0.1."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            scripted.connections += 1
            with suppress(ConnectionError):
                while start := self.rfile.readline():
                    scripted.answer(self._request(start), self.connection)

        def _request(self, start: bytes) -> Request:
            method, target, _ = start.decode().split(" ", 2)
            headers = {name.lower(): value for name, value in http.client.parse_headers(self.rfile).items()}
            return Request(method, target, headers, self.rfile.read(int(headers.get("content-length", 0))))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        scripted = ScriptedHttpServer(f"http://127.0.0.1:{server.server_address[1]}", default)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield scripted
        finally:
            server.shutdown()
            thread.join()


def reply(status: int, body: bytes | str = b"", /, **headers: str) -> Responder:
    """A plain answer; ``content_type="..."`` is a header."""

    def respond(_request: Request, connection: socket) -> None:
        raw = body.encode() if isinstance(body, str) else body
        lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, 'Odd')}", f"Content-Length: {len(raw)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + raw)

    return respond


def reply_json(status: int, document: object) -> Responder:
    """A JSON document."""
    return reply(status, json.dumps(document), content_type="application/json")


def aws_error(status: int, code: str, message: str = "", **headers: str) -> Responder:
    """An error in the XML of S3, and of Route 53 and STS (which wrap it)."""
    error = f"<Code>{code}</Code><Message>{message}</Message>"

    def respond(request: Request, connection: socket) -> None:
        wrapped = f"<Error>{error}</Error>"
        if "/s3/" not in request.headers.get("authorization", ""):
            wrapped = f"<ErrorResponse>{wrapped}<RequestId>1</RequestId></ErrorResponse>"
        reply(status, wrapped, content_type="text/xml", **headers)(request, connection)

    return respond


def hang_up(_request: Request, connection: socket) -> None:
    """Break the connection (RST) without an answer."""
    connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionAbortedError


def silence(seconds: float) -> Responder:
    """Say nothing for so long, or until the client goes."""

    def respond(_request: Request, connection: socket) -> None:
        connection.settimeout(seconds)
        with suppress(OSError):
            connection.recv(1)
        raise ConnectionAbortedError

    return respond


def drip(head: bytes, drop: bytes, *, every_seconds: float, drops: int) -> Responder:
    """An answer that never lets a socket's own timeout expire."""

    def respond(_request: Request, connection: socket) -> None:
        with suppress(OSError):
            connection.sendall(head)
            for _ in range(drops):
                time.sleep(every_seconds)
                connection.sendall(drop)
        raise ConnectionAbortedError

    return respond


def forward(endpoint: str, *, lose_answer: bool = False) -> Responder:
    """Hand the request to another server; its answer comes back, or is lost on the way."""

    def respond(request: Request, connection: socket) -> None:
        upstream = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=10)
        dropped = {"expect", "connection"}
        headers = {name: value for name, value in request.headers.items() if name not in dropped}
        upstream.request(request.method, request.target, body=request.body, headers=headers)
        with upstream.getresponse() as answer:
            body = answer.read()
            kept = {n.replace("-", "_"): v for n, v in answer.getheaders() if n.lower() not in _HOP_BY_HOP}
        upstream.close()
        if lose_answer:
            hang_up(request, connection)
        else:
            reply(answer.status, body, **kept)(request, connection)

    return respond


_HOP_BY_HOP = frozenset({"connection", "content-length", "transfer-encoding"})


ENDLESS: Final = drip(b"HTTP/1.1 200 OK\r\n\r\n", b" ", every_seconds=0.1, drops=30)
"""An answer that has begun, and does not end."""
NO_ANSWERS: Final = (
    reply_json(500, {"message": "broken"}),
    reply(502, "<html>a proxy's</html>"),
    reply(503, b"\xff\xfe"),
    reply(307, "", location="http://elsewhere/"),
    reply(200, "<html>a proxy's</html>"),
    reply(200, "[" * 100_000),
    reply(200, '{"cut": "o'),
)
"""What must not be taken for an answer of a REST interface that speaks JSON."""
