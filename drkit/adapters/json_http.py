"""JSON over HTTP/1.1: one request with a deadline for its whole answer, and what the answer means."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from drkit.errors import AuthError, RefusedError, UnreachableError

_LEAST_SECONDS: Final = 0.05

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class JsonServer:
    """A system with a REST interface. Redirects are not followed; a password is never shown.

    ``name`` names it in messages, ``setting`` is its part of the configuration, ``kind`` what it should be.
    ``credentials_hint``: what to do when it refuses them. ``most_bytes``: of one answer.
    """

    name: str
    kind: str
    setting: str
    credentials_hint: str
    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    most_bytes: int = 64 * 1024 * 1024

    def exchange(self, method: str, path: str, body: object, deadline: float) -> tuple[int, bytes]:
        """Status and body of the answer; ``path`` is quoted, ``deadline`` on the monotonic clock.

        Raises ``UnreachableError`` when the whole answer is not there by then.
        """
        address = urllib.parse.urlsplit(self.url)
        kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        seconds = max(_LEAST_SECONDS, deadline - time.monotonic())
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self.username is not None:
            credentials = base64.b64encode(f"{self.username}:{self.password or ''}".encode()).decode()
            headers["Authorization"] = f"Basic {credentials}"
        payload = None if body is None else json.dumps(body)
        exchange = _Exchange(kind(address.netloc, timeout=seconds), self.most_bytes)
        exchange.begin(method, address.path.rstrip("/") + path, payload, headers)
        if exchange.is_over.wait(seconds) and exchange.answer is not None:
            return exchange.answer
        exchange.hang_up()
        reason = exchange.error or "no whole answer in time"
        raise UnreachableError(
            f"{self.name} ({self.url}) does not answer: {str(reason) or type(reason).__name__}",
            hint="is it up, and its REST port reachable from here?",
        ) from exchange.error

    def answer(self, status: int, text: bytes, what: str) -> Any:
        """The answer's JSON (an empty mapping if it has none), or None for 404.

        Raises ``AuthError`` for 401 and 403, ``RefusedError`` for every other status, and for what is no JSON.
        """
        if status == http.HTTPStatus.NOT_FOUND:
            return None
        if status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
            raise AuthError(f"{self.name} refused {what} ({status})", hint=self.credentials_hint)
        if http.HTTPStatus.MULTIPLE_CHOICES <= status < http.HTTPStatus.BAD_REQUEST:
            raise RefusedError(
                f"{self.name} answered {what} with a redirect ({status})",
                hint=f"{self.setting}.url must be its own address: redirects are not followed",
            )
        if status >= http.HTTPStatus.BAD_REQUEST:
            reason = str(document(text).get("message", ""))
            raise RefusedError(f"{self.name} refused {what} ({status}): {reason[:500]}")
        if len(text) > self.most_bytes:
            raise RefusedError(f"{self.name} answered {what} with more than {self.most_bytes} bytes")
        try:
            return json.loads(text) if text.strip() else {}
        except (ValueError, RecursionError) as error:
            raise RefusedError(f"{self.name} answered {what} with no JSON") from error

    def read(self, what: str, parse: Callable[[], Answer]) -> Answer:
        """An answer's meaning. What answers may be a proxy, or a later version."""
        try:
            return parse()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self.unreadable(what, repr(error)[:300]) from error

    def unreadable(self, what: str, found: str) -> RefusedError:
        """The error for an answer that is another system's."""
        return RefusedError(
            f"{self.name} answered {what} with what drkit cannot read: {found}",
            hint=f"is {self.setting}.url the address of {self.kind}?",
        )


def document(text: bytes) -> Mapping[str, Any]:
    """What a system says of itself or a failure; empty if something else answers."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


class _Exchange:
    """One request in a thread of its own: no timeout of a socket bounds name resolution, or an answer in drops."""

    def __init__(self, connection: http.client.HTTPConnection, most_bytes: int) -> None:
        self._connection = connection
        self._most_bytes = most_bytes
        self.is_over = threading.Event()
        self.answer: tuple[int, bytes] | None = None
        self.error: Exception | None = None

    def begin(self, *request: Any) -> None:
        """Send it."""
        threading.Thread(target=self._run, args=request, name="json-http", daemon=True).start()

    def hang_up(self) -> None:
        """End whatever the thread waits for; it closes the connection itself."""
        open_socket = self._connection.sock
        if open_socket is not None:
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)

    def _run(self, method: str, path: str, payload: str | None, headers: Mapping[str, str]) -> None:
        try:
            self._connection.request(method, path, payload, dict(headers))
            with self._connection.getresponse() as answer:
                # One byte more than there may be: what is cut off must not be taken for a whole answer.
                body = answer.read(self._most_bytes + 1)
                if answer.length and len(body) <= self._most_bytes:
                    raise http.client.IncompleteRead(body, answer.length)
                self.answer = answer.status, body
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.error = error
        finally:
            self._connection.close()
            self.is_over.set()
