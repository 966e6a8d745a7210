"""The simulated AWS: moto behind one HTTP endpoint. Run as ``python -m drkit.sandbox.aws_server HOST PORT JOURNAL``.

moto keeps everything in memory. So that the state bucket and the DNS zone survive a kill, as they would at AWS, every
request that may change something is first appended to a journal, and a start plays the journal again. moto draws its
ids from one random generator; it is seeded with the request's number, so that a replay draws the same ids. Requests are
handled one at a time, in the journal's order.
"""

from __future__ import annotations

import base64
import io
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

from moto.moto_api._internal import mock_random
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple
from werkzeug.wsgi import get_input_stream

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Any]
Application: TypeAlias = Callable[[Environ, StartResponse], Any]

_READS: Final = ("GET", "HEAD", "OPTIONS")


class JournaledApplication:
    """A WSGI application whose writes survive its process."""

    def __init__(self, application: Application, journal: Path, seed: Callable[[int], None]) -> None:
        self._application = application
        self._journal = journal
        self._seed = seed
        self._lock = threading.RLock()
        self._written = 0

    def replay(self) -> int:
        """Apply every request of the journal; how many there were."""
        for environ, body in self._entries():
            self._written += 1
            self._answer(environ, body)
        return self._written

    def __call__(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        """Handle one request."""
        # The body is read before the lock is taken: a slow sender holds up nobody.
        body = get_input_stream(environ).read()
        with self._lock:
            if environ["REQUEST_METHOD"] not in _READS:
                self._append(environ, body)
            status, headers, content = self._answer(environ, body)
        start_response(status, headers)
        return content

    def _answer(self, environ: Environ, body: bytes) -> tuple[str, list[tuple[str, str]], list[bytes]]:
        started: list[tuple[str, list[tuple[str, str]]]] = []
        if environ["REQUEST_METHOD"] not in _READS:
            self._seed(self._written)
        environ = {
            **environ,
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "CONTENT_LENGTH": str(len(body)),
        }
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        parts = self._application(environ, lambda status, headers, _=None: started.append((status, headers)))
        try:
            content = list(parts)
        finally:
            if hasattr(parts, "close"):
                parts.close()
        return *started[0], content

    def _append(self, environ: Environ, body: bytes) -> None:
        plain = {key: value for key, value in environ.items() if isinstance(value, str | bool | dict | list)}
        line = json.dumps({"environ": plain, "body": base64.b64encode(body).decode()})
        with self._journal.open("a") as stream:
            stream.write(line + "\n")
        self._written += 1

    def _entries(self) -> Iterator[tuple[Environ, bytes]]:
        if not self._journal.exists():
            return
        lines = self._journal.read_bytes().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            # The process was killed in the middle of a line, so nobody was given an answer.
            torn = lines.pop()
            with self._journal.open("r+b") as stream:
                stream.truncate(self._journal.stat().st_size - len(torn))
        for line in lines:
            entry = json.loads(line)
            yield entry["environ"], base64.b64decode(entry["body"])


class _KeepAliveHandler(MotoRequestHandler):
    """Connections are kept, as AWS keeps them."""

    protocol_version = "HTTP/1.1"


def main() -> None:
    """Serve until the process ends."""
    host, port, journal = sys.argv[1:]
    application = JournaledApplication(DomainDispatcherApplication(create_backend_app), Path(journal), mock_random.seed)
    print(f"{application.replay()} requests replayed", flush=True)  # noqa: T201 - into the process's log
    run_simple(host, int(port), application, threaded=True, request_handler=_KeepAliveHandler)


if __name__ == "__main__":
    main()
