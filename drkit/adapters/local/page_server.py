"""A few pages over HTTP, for whoever watches a service: bounded in every way, and nothing but GET and HEAD."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final

from drkit.errors import RefusedError, UsageError
from drkit.ports import Page, Pages

_REQUEST_SECONDS: Final = 5.0
"""One whole exchange: a client that sends or reads byte by byte is hung up on."""
_AT_ONCE: Final = 8


class HttpPages:
    """``drkit.ports.PageServer`` on ``HOST:PORT`` (``[ADDRESS]:PORT`` for IPv6; port 0: any that is free).

    Each connection is one request in a thread of its own, eight at once; one more is closed. Nobody is asked who they
    are: what the pages tell is not secret, and the address is this machine's own unless another is given.
    """

    def __init__(self, listen: str, *, seconds: float = _REQUEST_SECONDS) -> None:
        self._host, self._port = _address(listen)
        self._seconds = seconds

    @contextmanager
    def serving(self, pages: Pages) -> Iterator[str]:
        """Serve these pages while the block runs; the address. Raises ``RefusedError`` if it cannot listen there."""
        try:
            family, *_, address = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)[0]
            server = _Server(family, address[:2], pages, self._seconds)
        except OSError as error:
            where = f"{self._host}:{self._port}"
            raise RefusedError(
                f"cannot listen on {where}: {error.strerror}", hint="name another with --listen HOST:PORT"
            ) from error
        # Daemon threads: a request that is under way does not hold up the end.
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="pages", daemon=True)
        thread.start()
        try:
            host = f"[{self._host}]" if ":" in self._host else self._host
            yield f"http://{host}:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 16

    def __init__(self, family: int, address: Any, pages: Pages, seconds: float) -> None:
        self.address_family = family
        self.pages = pages
        self.seconds = seconds
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # Not HTTPServer's, which asks a name server for the machine's full name: that may take long.
        TCPServer.server_bind(self)
        self.server_port = self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread, if one is free."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """In that thread."""
        timer = threading.Timer(self.seconds, _hang_up, (request,))
        timer.daemon = True
        timer.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            timer.cancel()
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or was hung up on, is nobody's news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Answer."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer without the body."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        ask = self.server.pages.get(self.path.partition("?")[0])
        if ask is None:
            self.send_error(HTTPStatus.NOT_FOUND, explain=" ".join(self.server.pages))
            return
        try:
            page = ask()
        except Exception as error:  # noqa: BLE001 - whoever asks is told, and the service goes on
            page = Page(500, "text/plain; charset=utf-8", f"a bug in drkit: {type(error).__name__}\n".encode())
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if with_body:
            self.wfile.write(page.body)

    def version_string(self) -> str:
        """Without the versions that a server tells of itself."""
        return "drkit"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
        """Requests are not logged."""


def _hang_up(request: socket.socket) -> None:
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


def _address(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"--listen {listen!r} is not HOST:PORT", hint="--listen 127.0.0.1:9464")
    return host.removeprefix("[").removesuffix("]"), int(port)
