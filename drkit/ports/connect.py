"""The Kafka Connect cluster that mirrors into one region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from drkit.domain.kafka import TopicPartition


class ConnectorState(StrEnum):
    """Connector states of Kafka Connect, and ABSENT for one that does not exist."""

    ABSENT = "absent"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FAILED = "failed"
    UNASSIGNED = "unassigned"
    RESTARTING = "restarting"


@dataclass(frozen=True, slots=True)
class ConnectorStatus:
    """A connector and its tasks; ``trace`` is the first line of the first failure."""

    name: str
    state: ConnectorState
    task_states: tuple[ConnectorState, ...] = ()
    trace: str = ""

    @property
    def is_stopped(self) -> bool:
        """Stopped, and no task is left that could still write."""
        return self.state in (ConnectorState.STOPPED, ConnectorState.ABSENT) and not self.task_states


class ConnectReader(Protocol):
    """The Kafka Connect cluster that mirrors into one region (REST; KIP-875 for offsets)."""

    def cluster_id(self) -> str:
        """The Kafka cluster its workers are on, which is where records go (``kafka_cluster_id`` of ``GET /``)."""

    def connectors(self) -> Mapping[str, ConnectorStatus]:
        """Every connector."""

    def status(self, name: str) -> ConnectorStatus:
        """One connector; state ABSENT if there is none."""

    def config(self, name: str) -> Mapping[str, str]:
        """Its configuration; empty if there is none."""

    def connector_offsets(self, name: str) -> tuple[Mapping[str, Any], ...]:
        """What it has committed, as Kafka Connect tells it: ``partition`` and ``offset``, in a fixed order."""

    def source_offsets(self, name: str) -> Mapping[TopicPartition, int]:
        """Last replicated upstream offset per source partition (``MirrorUtils.wrapOffset``)."""


class ConnectWriter(Protocol):
    """What drkit changes in Kafka Connect. A 409 (rebalance) is retried until the deadline.

    Raises ``RefusedError`` for a connector that does not exist, or where Kafka Connect does not do it.
    """

    def put(self, name: str, config: Mapping[str, str], *, stopped: bool = False) -> None:
        """Create or update a connector; a new one may be created STOPPED (KIP-980)."""

    def stop(self, name: str) -> None:
        """Ask for STOPPED; does not wait."""

    def resume(self, name: str) -> None:
        """Ask for RUNNING; does not wait."""

    def restart_failed(self, name: str) -> None:
        """Restart the connector and those tasks of it that have failed (KIP-745); what runs is left alone."""

    def set_source_offsets(self, name: str, source_alias: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Set the last replicated upstream offsets of a STOPPED connector."""
