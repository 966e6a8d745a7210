"""``ConnectReader`` and ``ConnectWriter`` over HTTP (KIP-875 offsets, KIP-980 initial state, KIP-745 restart).

A worker that has just begun answers before it knows anything: for a moment its server says 404, with a page, to every
path, and then Kafka Connect itself says 404, with an ``ErrorMessage``, of connectors that exist, until it has read
what its cluster holds (measured on 4.3.1). ``GET /health`` (KIP-1017, since Kafka 3.9) tells that from one that knows:
no 404 is believed, and no list of connectors, while it says anything but healthy. Before 3.9 there is nothing to tell.
"""

from __future__ import annotations

import http
import json
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from drkit.adapters.json_http import JsonServer, document
from drkit.domain.kafka import TopicPartition
from drkit.errors import RefusedError, UnreachableError
from drkit.ports import ConnectorState, ConnectorStatus

_RETRY_SECONDS: Final = 0.2
_NOT_READY: Final = ("starting", "unhealthy")
"""``WorkerStatus`` of KIP-1017, beside ``healthy``."""

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
        """Every connector, in one request to a worker that is ready."""
        self._await_ready(time.monotonic() + self.timeout_seconds)
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

    def connector_offsets(self, name: str) -> tuple[Mapping[str, Any], ...]:
        """What it has committed, in the order of the partitions' JSON; empty if there is no such connector."""
        found = self._request("GET", f"{_path(name)}/offsets") or {"offsets": []}
        return self._read(
            f"the offsets of {name}",
            lambda: tuple(sorted(found["offsets"], key=lambda entry: json.dumps(entry["partition"], sort_keys=True))),
        )

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
        return self._server.read(what, parse)

    def _expect(self, method: str, path: str, body: object = None) -> Any:
        found = self._request(method, path, body)
        if found is None:
            raise RefusedError(f"Kafka Connect at {self.region} has no {path}", hint="drkit mm2 apply creates it")
        return found

    def _request(self, method: str, path: str, body: object = None) -> Any:
        """The answer's JSON (an empty mapping if it has none), or None for 404 of a worker that is ready.

        A 409, and a 404 of a worker that was not ready, are tried again.
        """
        deadline = time.monotonic() + self.timeout_seconds
        is_known_ready = False
        while True:
            status, text = self._server.exchange(method, path, body, deadline)
            if status == http.HTTPStatus.CONFLICT and time.monotonic() + _RETRY_SECONDS < deadline:
                # The cluster rebalances: the request was not taken.
                time.sleep(_RETRY_SECONDS)
                continue
            if status == http.HTTPStatus.NOT_FOUND and not is_known_ready:
                # It may have become ready in between: only what it says behind its health counts.
                is_known_ready = True
                if self._await_ready(deadline) or not _is_of_connect(text):
                    continue
            if status == http.HTTPStatus.NOT_FOUND and not _is_of_connect(text):
                raise self._server.unreadable(f"{method} {path}", repr(text[:100]))
            return self._server.answer(status, text, f"{method} {path}")

    def _await_ready(self, deadline: float) -> bool:
        """Wait until the worker has read what its cluster holds; False where it cannot tell (Kafka before 3.9).

        Raises ``UnreachableError`` for one that does not become ready in time. While it begins, a worker takes up to
        10 s for this answer (``RestRequestTimeout.healthCheckTimeoutMs``).
        """
        while True:
            try:
                status, text = self._server.exchange("GET", "/health", None, deadline)
            except UnreachableError as error:
                raise self._not_ready("it does not answer GET /health") from error
            found = document(text)
            if status == http.HTTPStatus.NOT_FOUND:
                if _is_of_connect(text):
                    return False
                found = {"status": "no Kafka Connect, or not yet", "message": "it answers GET /health with 404"}
            elif found.get("status") not in _NOT_READY:
                return self._require_healthy(status, text)
            if time.monotonic() + _RETRY_SECONDS >= deadline:
                raise self._not_ready(f"{found['status']}: {found.get('message', '')}")
            time.sleep(_RETRY_SECONDS)

    def _require_healthy(self, status: int, text: bytes) -> bool:
        found = self._server.answer(status, text, "GET /health")
        if not isinstance(found, dict) or found.get("status") != "healthy":
            # Something that answers every path is no Kafka Connect.
            raise self._server.unreadable("GET /health", repr(text[:100]))
        return True

    def _not_ready(self, reason: str) -> UnreachableError:
        return UnreachableError(
            f"the Kafka Connect worker at {self.region} ({self.url}) is not ready, and does not know its connectors: "
            f"{reason[:500]}",
            hint="a worker that has just begun takes up to a minute; if it stays so, its log says what it waits for",
        )

    @property
    def _server(self) -> JsonServer:
        return JsonServer(
            name=f"Kafka Connect at {self.region}",
            kind="a Kafka Connect worker",
            setting="connect",
            credentials_hint="check connect.username",
            url=self.url,
            username=self.username,
            password=self.password,
        )


def _is_of_connect(text: bytes) -> bool:
    """Whether a failure is told by Kafka Connect itself (``ErrorMessage``), not by what serves its paths."""
    return "error_code" in document(text)


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
