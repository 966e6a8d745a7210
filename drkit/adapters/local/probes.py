"""Health probes over HTTP."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from urllib.parse import SplitResult, urlsplit

from drkit.adapters.local.untrusted_text import printable
from drkit.errors import ConfigError
from drkit.ports import ProbeAnswer, ProbeStatus

_LONGEST_BODY_BYTES = 1 << 18
_CHUNK_BYTES = 1 << 14
_ACTUATOR = "application/vnd.spring-boot.actuator"
_ACTUATOR_STATUSES = frozenset({"UP", "DOWN", "OUT_OF_SERVICE", "UNKNOWN"})
"""Spring Boot reference, "Health information"; a service may add its own."""
_DETAIL_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    content_type: str
    body: bytes
    is_whole: bool


@dataclass(slots=True)
class _Exchange:
    """What the thread of one exchange and the one that waits for it share."""

    connection: HTTPConnection
    response: _Response | None = None
    error: BaseException | None = None
    is_over: threading.Event = field(default_factory=threading.Event)


class HttpHealthProbe:
    """``drkit.ports.HealthProbe`` on a URL.

    A Spring actuator is up when it says ``UP`` with 2xx; any other status of its, like ``UNKNOWN``, is down. Any
    other URL is up with 2xx. Redirects are not followed: what answers elsewhere is something else. ``seconds`` is
    for the whole exchange, with name resolution and a server that answers byte by byte.
    """

    def __init__(self, name: str, url: str, *, seconds: float) -> None:
        self._name = name
        self._url = _checked(name, url)
        self._seconds = seconds

    @property
    def name(self) -> str:
        """As configured."""
        return self._name

    def ask(self) -> ProbeAnswer:
        """Ask once; never raises."""
        exchange = _Exchange(self._connection())
        # In a thread of its own, for no timeout of a socket bounds name resolution, or an answer in drops.
        thread = threading.Thread(target=self._run, args=(exchange,), name=f"probe {self._name}", daemon=True)
        thread.start()
        if not exchange.is_over.wait(self._seconds):
            _hang_up(exchange.connection)
            return self._answer(ProbeStatus.UNREACHABLE, f"no whole answer within {self._seconds:g} s")
        if exchange.response is None:
            error = exchange.error
            return self._answer(ProbeStatus.UNREACHABLE, f"{type(error).__name__}: {error}")
        is_up, detail = _judge(exchange.response)
        return self._answer(ProbeStatus.UP if is_up else ProbeStatus.DOWN, detail)

    def _answer(self, status: ProbeStatus, detail: str) -> ProbeAnswer:
        return ProbeAnswer(self._name, status, printable(detail, limit=_DETAIL_CHARACTERS))

    def _connection(self) -> HTTPConnection:
        kind = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        return kind(self._url.hostname or "", self._url.port, timeout=self._seconds)

    def _run(self, exchange: _Exchange) -> None:
        try:
            path = self._url._replace(scheme="", netloc="", fragment="").geturl() or "/"
            headers = {"Accept": f"{_ACTUATOR}.v3+json, */*", "Accept-Encoding": "identity", "Connection": "close"}
            exchange.connection.request("GET", path, headers=headers)
            with exchange.connection.getresponse() as response:
                exchange.response = _read(response, time.monotonic() + self._seconds)
        except (HTTPException, OSError, ValueError) as error:
            exchange.error = error
        finally:
            exchange.connection.close()
            exchange.is_over.set()


def _read(response: HTTPResponse, deadline: float) -> _Response:
    body = b""
    while len(body) <= _LONGEST_BODY_BYTES and time.monotonic() < deadline:
        chunk = response.read1(_CHUNK_BYTES)
        if not chunk:
            if response.length:
                raise IncompleteRead(body, response.length)
            return _Response(response.status, response.headers.get_content_type(), body, is_whole=True)
        body += chunk
    return _Response(response.status, response.headers.get_content_type(), body, is_whole=False)


def _judge(response: _Response) -> tuple[bool, str]:
    is_success = 200 <= response.status < 300
    detail = f"HTTP {response.status}"
    if 300 <= response.status < 400:
        return False, f"{detail}: redirects are not followed"
    is_actuator = response.content_type.startswith(_ACTUATOR)
    status = _status(response)
    if status is not None and (is_actuator or status in _ACTUATOR_STATUSES):
        return is_success and status == "UP", f"{detail}, status {status}"
    if is_actuator:
        return False, f"{detail}, an actuator's answer without a status that can be read"
    return is_success, detail


def _status(response: _Response) -> str | None:
    if not response.is_whole:
        return None
    try:
        document = json.loads(response.body)
    except (ValueError, RecursionError):
        return None
    status = document.get("status") if isinstance(document, dict) else None
    return status if isinstance(status, str) else None


def _hang_up(connection: HTTPConnection) -> None:
    # Ends whatever the thread waits for; it closes the connection itself.
    open_socket = connection.sock
    if open_socket is not None:
        with suppress(OSError):
            open_socket.shutdown(socket.SHUT_RDWR)


def _checked(name: str, url: str) -> SplitResult:
    parts = urlsplit(url)
    try:
        is_usable = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ConfigError(f"the health probe {name} has no http:// or https:// URL that can be asked")
    if parts.username is not None or parts.password is not None:
        raise ConfigError(f"the health probe {name} has credentials in its URL: secrets are never values")
    return parts
