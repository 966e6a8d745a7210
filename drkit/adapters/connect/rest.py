"""``ConnectReader`` and ``ConnectWriter`` over HTTP (KIP-875 offsets, KIP-980 initial state, KIP-745 restart)."""

from __future__ import annotations

import base64
import http.client
import json
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from drkit.domain.kafka import TopicPartition
from drkit.errors import AuthError, RefusedError, UnreachableError
from drkit.ports import ConnectorState, ConnectorStatus

_MAX_BODY_BYTES: Final = 64 * 1024 * 1024
_RETRY_SECONDS: Final = 0.2


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
        return str(self._expect("GET", "/")["kafka_cluster_id"])

    def connectors(self) -> Mapping[str, ConnectorStatus]:
        """Every connector, in one request."""
        found = self._expect("GET", "/connectors?expand=status")
        return {name: _status(item["status"]) for name, item in found.items()}

    def status(self, name: str) -> ConnectorStatus:
        """One connector; ABSENT if there is none."""
        found = self._request("GET", f"{_path(name)}/status")
        return ConnectorStatus(name, ConnectorState.ABSENT) if found is None else _status(found)

    def config(self, name: str) -> Mapping[str, str]:
        """Its configuration; empty if there is none."""
        return self._request("GET", f"{_path(name)}/config") or {}

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
        connection = kind(address.netloc, timeout=max(0.05, deadline - time.monotonic()))
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self.username is not None:
            credentials = base64.b64encode(f"{self.username}:{self.password or ''}".encode()).decode()
            headers["Authorization"] = f"Basic {credentials}"
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, address.path.rstrip("/") + path, payload, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(_MAX_BODY_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(
                f"Kafka Connect at {self.region} ({self.url}) does not answer: {str(error) or type(error).__name__}",
                hint="is the worker up, and its REST port reachable from here?",
            ) from error
        finally:
            connection.close()

    def _answer(self, status: int, text: bytes, what: str) -> Any:
        if status == http.HTTPStatus.NOT_FOUND:
            return None
        if status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
            raise AuthError(f"Kafka Connect at {self.region} refused {what} ({status})", hint="check connect.username")
        try:
            document = json.loads(text) if text.strip() else {}
        except ValueError as error:
            raise RefusedError(f"Kafka Connect at {self.region} answered {what} with no JSON") from error
        if status >= http.HTTPStatus.BAD_REQUEST:
            reason = document.get("message", "") if isinstance(document, dict) else ""
            raise RefusedError(f"Kafka Connect at {self.region} refused {what} ({status}): {reason[:500]}")
        return document


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
