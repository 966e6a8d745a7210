"""A Kafka Connect cluster in memory, as ``tests/contracts`` proves it of the real one, with faults on demand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drkit.domain.kafka import TopicPartition
from drkit.errors import RefusedError, UnreachableError
from drkit.ports import ConnectorState, ConnectorStatus
from tests.fakes.scripted import Scripted

_TASKS: Mapping[ConnectorState, ConnectorState] = {
    ConnectorState.RUNNING: ConnectorState.RUNNING,
    ConnectorState.PAUSED: ConnectorState.PAUSED,
    ConnectorState.UNASSIGNED: ConnectorState.UNASSIGNED,
}


class FakeConnect(Scripted):
    """``ConnectReader`` and ``ConnectWriter``.

    ``fails``: connectors that cannot start. ``slow_tasks``: tasks of connectors that do not end when they are stopped,
    until they are taken out. ``upstream``: last offsets per connector, which a running one has mirrored.
    ``starts_for``: so many looks are not answered, by a worker that has just begun.
    """

    def __init__(self, kafka_cluster_id: str = "cluster-1") -> None:
        super().__init__()
        self.kafka_cluster_id = kafka_cluster_id
        self.configs: dict[str, dict[str, str]] = {}
        self.states: dict[str, ConnectorState] = {}
        self.offsets: dict[str, dict[TopicPartition, int]] = {}
        self.upstream: dict[str, dict[TopicPartition, int]] = {}
        self.fails: set[str] = set()
        self.slow_tasks: set[str] = set()
        self.starts_for = 0

    def cluster_id(self) -> str:
        self._begin("cluster_id", "")
        return self.kafka_cluster_id

    def connectors(self) -> Mapping[str, ConnectorStatus]:
        self._look("connectors", "")
        return {name: self._status(name) for name in self.configs}

    def status(self, name: str) -> ConnectorStatus:
        self._look("status", name)
        return self._status(name)

    def config(self, name: str) -> Mapping[str, str]:
        self._look("config", name)
        return dict(self.configs.get(name, {}))

    def connector_offsets(self, name: str) -> tuple[Mapping[str, Any], ...]:
        found = sorted(self.source_offsets(name).items())
        where = [{"cluster": "source", "partition": p.partition, "topic": p.topic} for p, _ in found]
        return tuple({"partition": p, "offset": {"offset": one}} for p, (_, one) in zip(where, found, strict=True))

    def source_offsets(self, name: str) -> Mapping[TopicPartition, int]:
        self._look("source_offsets", name)
        if self.states.get(name) is ConnectorState.RUNNING:
            self.offsets.setdefault(name, {}).update(self.upstream.get(name, {}))
        return dict(self.offsets.get(name, {}))

    def put(self, name: str, config: Mapping[str, str], *, stopped: bool = False) -> None:
        fault = self._begin("put", name)
        if not config.get("connector.class") or not name.isprintable():
            raise RefusedError(f"connector {name!r} is not valid")
        if name not in self.configs:
            self._start(name)
            if stopped:
                self.states[name] = ConnectorState.STOPPED
        self.configs[name] = {**config, "name": name}
        self._end(fault, "put", name)

    def stop(self, name: str) -> None:
        fault = self._begin("stop", name)
        self._require(name)
        self.states[name] = ConnectorState.STOPPED
        self._end(fault, "stop", name)

    def resume(self, name: str) -> None:
        fault = self._begin("resume", name)
        self._require(name)
        self._start(name)
        self._end(fault, "resume", name)

    def restart_failed(self, name: str) -> None:
        fault = self._begin("restart_failed", name)
        self._require(name)
        if self.states[name] is ConnectorState.FAILED:
            self._start(name)
        self._end(fault, "restart_failed", name)

    def set_source_offsets(self, name: str, source_alias: str, offsets: Mapping[TopicPartition, int]) -> None:
        fault = self._begin("set_source_offsets", name)
        self._require(name)
        if self.states[name] is not ConnectorState.STOPPED:
            raise RefusedError(f"connector {name} is not stopped")
        self.offsets.setdefault(name, {}).update(offsets)
        self._end(fault, "set_source_offsets", name)

    def _look(self, call: str, name: str) -> None:
        self._begin(call, name)
        if self.starts_for:
            self.starts_for -= 1
            raise UnreachableError(f"{call} {name}: the worker is not ready")

    def _start(self, name: str) -> None:
        self.states[name] = ConnectorState.FAILED if name in self.fails else ConnectorState.RUNNING

    def _require(self, name: str) -> None:
        if name not in self.configs:
            raise RefusedError(f"there is no connector {name}")

    def _status(self, name: str) -> ConnectorStatus:
        state = self.states.get(name, ConnectorState.ABSENT)
        if state is ConnectorState.FAILED:
            return ConnectorStatus(name, state, (), "org.apache.kafka.connect.errors.ConnectException: cannot start")
        if name in self.slow_tasks:
            return ConnectorStatus(name, state, (ConnectorState.RUNNING,))
        return ConnectorStatus(name, state, (_TASKS[state],) if state in _TASKS else ())
