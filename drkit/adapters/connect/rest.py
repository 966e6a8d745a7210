"""``ConnectReader`` and ``ConnectWriter`` over HTTP (KIP-875 offsets, KIP-980 initial state, KIP-745 restart)."""

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

from drkit.domain.kafka import TopicPartition
from drkit.errors import AuthError, RefusedError, UnreachableError
from drkit.ports import ConnectorState, ConnectorStatus

_MAX_BODY_BYTES: Final = 64 * 1024 * 1024
_RETRY_SECONDS: Final = 0.2

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class ConnectCluster:
    """One Kafka Connect cluster. ``region`` names it in messages; a password is never shown."""

    region: str
    url: str
    timeout_seconds: float
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def cluster_id(self) -> str:
        """The Kafka cluster its workers are on."""
        found = self._expect("GET", "/")
        return self._read("GET /", lambda: str(found["kafka_cluster_id"]))

    def connectors(self) -> Mapping[str, ConnectorStatus]:
        """Every connector, in one request."""
        found = self._expect("GET", "/connectors?expand=status")
        return self._read(
            "GET /connectors", lambda: {name: _status(item["status"]) for name, item in found.items() if item["status"]}
        )

    def status(self, name: str) -> ConnectorStatus:
        """One connector; ABSENT if there is none."""
        found = self._request("GET", f"{_path(name)}/status")
        if found is None:
            return ConnectorStatus(name, ConnectorState.ABSENT)
        return self._read(f"the status of {name}", lambda: _status(found))

    def config(self, name: str) -> Mapping[str, str]:
        """Its configuration; empty if there is none."""
        found = self._request("GET", f"{_path(name)}/config") or {}
        return self._read(f"the configuration of {name}", lambda: dict(found.items()))

    def source_offsets(self, name: str) -> Mapping[TopicPartition, int]:
        """Last replicated upstream offset per source partition.

        Raises ``RefusedError`` for offsets that are not a mirror's (``MirrorUtils.wrapPartition``, ``wrapOffset``).
        """
        found = self._request("GET", f"{_path(name)}/offsets") or {"offsets": []}
        try:
            return {
                TopicPartition(entry["partition"]["topic"], int(entry["partition"]["partition"])): int(
                    entry["offset"]["offset"]
                )
                for entry in found["offsets"]
                if entry["offset"] is not None
            }
        except (KeyError, TypeError, ValueError) as error:
            raise RefusedError(
                f"connector {name} at {self.region} has offsets that are not MirrorMaker 2's: {error!r}",
                hint="is it a MirrorSourceConnector?",
            ) from error

    def put(self, name: str, config: Mapping[str, str], *, stopped: bool = False) -> None:
        """Create or update a connector."""
        if stopped and not self.config(name):
            self._expect("POST", "/connectors", {"name": name, "config": dict(config), "initial_state": "STOPPED"})
        else:
            self._expect("PUT", f"{_path(name)}/config", dict(config))

    def stop(self, name: str) -> None:
        """Ask for STOPPED."""
        self._expect("PUT", f"{_path(name)}/stop")

    def resume(self, name: str) -> None:
        """Ask for RUNNING."""
        self._expect("PUT", f"{_path(name)}/resume")

    def restart_failed(self, name: str) -> None:
        """Restart what has failed."""
        self._expect("POST", f"{_path(name)}/restart?includeTasks=true&onlyFailed=true")

    def set_source_offsets(self, name: str, source_alias: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Set the last replicated upstream offsets of a STOPPED connector."""
        entries = [
            {
                "partition": {"cluster": source_alias, "topic": p.topic, "partition": p.partition},
                "offset": {"offset": offset},
            }
            for p, offset in offsets.items()
        ]
        self._expect("PATCH", f"{_path(name)}/offsets", {"offsets": entries})

    def _read(self, what: str, parse: Callable[[], Answer]) -> Answer:
        """An answer's meaning. What answers may be a proxy, or a later Kafka Connect."""
        try:
            return parse()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RefusedError(
                f"Kafka Connect at {self.region} answered {what} with what drkit cannot read: {error!r}",
                hint="is connect.url the address of a Kafka Connect worker?",
            ) from error

    def _expect(self, method: str, path: str, body: object = None) -> Any:
        found = self._request(method, path, body)
        if found is None:
            raise RefusedError(f"Kafka Connect at {self.region} has no {path}", hint="drkit mm2 apply creates it")
        return found

    def _request(self, method: str, path: str, body: object = None) -> Any:
        """The answer's JSON (an empty mapping if it has none), or None for 404. A 409 is tried again."""
        deadline = time.monotonic() + self.timeout_seconds
        while True:
            status, text = self._exchange(method, path, body, deadline)
            if status == http.HTTPStatus.CONFLICT and time.monotonic() + _RETRY_SECONDS < deadline:
                # The cluster rebalances: the request was not taken.
                time.sleep(_RETRY_SECONDS)
                continue
            return self._answer(status, text, f"{method} {path}")

    def _exchange(self, method: str, path: str, body: object, deadline: float) -> tuple[int, bytes]:
        address = urllib.parse.urlsplit(self.url)
        kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        seconds = max(0.05, deadline - time.monotonic())
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self.username is not None:
            credentials = base64.b64encode(f"{self.username}:{self.password or ''}".encode()).decode()
            headers["Authorization"] = f"Basic {credentials}"
        payload = None if body is None else json.dumps(body)
        exchange = _Exchange(kind(address.netloc, timeout=seconds))
        exchange.begin(method, address.path.rstrip("/") + path, payload, headers)
        if exchange.is_over.wait(seconds) and exchange.answer is not None:
            return exchange.answer
        exchange.hang_up()
        reason = exchange.error or "no whole answer in time"
        raise UnreachableError(
            f"Kafka Connect at {self.region} ({self.url}) does not answer: {str(reason) or type(reason).__name__}",
            hint="is the worker up, and its REST port reachable from here?",
        ) from exchange.error

    def _answer(self, status: int, text: bytes, what: str) -> Any:
        if status == http.HTTPStatus.NOT_FOUND:
            return None
        if status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
            raise AuthError(f"Kafka Connect at {self.region} refused {what} ({status})", hint="check connect.username")
        if http.HTTPStatus.MULTIPLE_CHOICES <= status < http.HTTPStatus.BAD_REQUEST:
            raise RefusedError(
                f"Kafka Connect at {self.region} answered {what} with a redirect ({status})",
                hint="connect.url must be the worker's own address: redirects are not followed",
            )
        try:
            document = json.loads(text) if text.strip() else {}
        except ValueError as error:
            if status < http.HTTPStatus.BAD_REQUEST:
                raise RefusedError(f"Kafka Connect at {self.region} answered {what} with no JSON") from error
            document = {}
        if status >= http.HTTPStatus.BAD_REQUEST:
            reason = str(document.get("message", "")) if isinstance(document, dict) else ""
            raise RefusedError(f"Kafka Connect at {self.region} refused {what} ({status}): {reason[:500]}")
        return document


class _Exchange:
    """One request in a thread of its own: no timeout of a socket bounds name resolution, or an answer in drops."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection
        self.is_over = threading.Event()
        self.answer: tuple[int, bytes] | None = None
        self.error: Exception | None = None

    def begin(self, *request: Any) -> None:
        """Send it."""
        threading.Thread(target=self._run, args=request, name="connect", daemon=True).start()

    def hang_up(self) -> None:
        """End whatever the thread waits for; it closes the connection itself."""
        open_socket = self._connection.sock
        if open_socket is not None:
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)

    def _run(self, method: str, path: str, payload: str | None, headers: Mapping[str, str]) -> None:
        try:
            self._connection.request(method, path, payload, dict(headers))
            answer = self._connection.getresponse()
            self.answer = answer.status, answer.read(_MAX_BODY_BYTES)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.error = error
        finally:
            self._connection.close()
            self.is_over.set()


def _path(name: str) -> str:
    return f"/connectors/{urllib.parse.quote(name, safe='')}"


def _status(document: Mapping[str, Any]) -> ConnectorStatus:
    connector, tasks = document["connector"], document["tasks"]
    traces = [item.get("trace", "") for item in (connector, *tasks)]
    first = next((trace for trace in traces if trace), "")
    return ConnectorStatus(
        name=document["name"],
        state=ConnectorState(connector["state"].lower()),
        task_states=tuple(ConnectorState(task["state"].lower()) for task in tasks),
        trace=first.splitlines()[0] if first else "",
    )
