"""What steps see of the outside world: small Protocols, implemented by ``adapters`` and by the tests' fakes.

Every call has a deadline (``timeouts.request_seconds`` of the configuration, unless it takes its own) and raises

* ``UnreachableError`` when nothing answered in time or the connection broke,
* ``AuthError`` when the system refused the identity or the operation,
* ``DrkitError`` leaves named in the docstring for what is particular to the call.

Writers are Protocols of their own, so that a dry run is given readers only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from drkit.domain.kafka import (
    Acl,
    ClusterDescription,
    GroupDescription,
    LogRange,
    Record,
    TopicDescription,
    TopicPartition,
)


class Clock(Protocol):
    """Time. Durations are measured on the monotonic clock, never on the wall clock."""

    def now(self) -> datetime:
        """The wall clock, in UTC with a time zone."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


@dataclass(frozen=True, slots=True)
class ReadRange:
    """Offsets ``start`` (included) to ``end`` (excluded) of one partition."""

    partition: TopicPartition
    start: int
    end: int


class KafkaReader(Protocol):
    """One Kafka cluster, read as drkit's identity."""

    @property
    def region(self) -> str:
        """The region (and MM2 alias) of the cluster."""

    def describe_cluster(self) -> ClusterDescription:
        """Cluster id and live brokers."""

    def topics(self) -> Mapping[str, TopicDescription]:
        """Every topic that is not internal to Kafka (``__*``), with its non-default configs."""

    def describe_topics(self, names: Collection[str] | None = None) -> Mapping[str, TopicDescription]:
        """These topics (None: every one that is not internal) without their configs, in one quick request.

        One that does not exist is missing from the answer.
        """

    def log_ranges(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, LogRange]:
        """Start, end and last stable offset of each partition.

        Raises ``RefusedError`` where one of them does not exist, has no leader, or may not be seen.
        """

    def groups(self) -> Mapping[str, GroupDescription]:
        """Every consumer group (classic and consumer protocol) with its state, without its members."""

    def describe_groups(self, names: Collection[str]) -> Mapping[str, GroupDescription]:
        """These groups with their members; one that does not exist is DEAD."""

    def committed_offsets(self, groups: Collection[str]) -> Mapping[str, Mapping[TopicPartition, int]]:
        """Each group's committed offsets; a group without any has an empty mapping.

        A broker keeps quiet about topics that drkit may not see: their offsets are missing.
        """

    def acls(self) -> frozenset[Acl]:
        """Every ACL of the cluster; empty where the cluster has no authorizer."""

    def read(self, ranges: Sequence[ReadRange], *, committed: bool = True) -> Iterator[Record]:
        """Data records within the ranges, each once and in order per partition.

        A range ends at its end, at the log end, or (``committed``) where a transaction is open: nothing is waited for.
        ``committed``: skip records of aborted and open transactions (read_committed).
        A range below the log start begins at the log start. Ranges may overlap, and come in any order.
        Raises ``RefusedError`` where a partition does not exist.
        """

    def data_offsets(self, ranges: Sequence[ReadRange]) -> Mapping[TopicPartition, Sequence[int]]:
        """Sorted offsets of the committed data records within the ranges; as ``read``, without the contents."""

    def tail(self, topic: str) -> TopicTail:
        """Follow a whole topic, all its partitions, from its start: MM2's offset-syncs and checkpoints.

        Within a partition records come in order; partitions may be added meanwhile. A topic that does not exist, or
        no more, raises ``RefusedError``.
        """


class TopicTail(Protocol):
    """A topic read from its start and then incrementally."""

    def catch_up(self) -> Sequence[Record]:
        """The committed records that were added since the last call, up to the last stable offset at the time of it."""

    def close(self) -> None:
        """Leave the topic."""


class ProbeOutcome(StrEnum):
    """The answer to a write or a commit that drkit tries in order to learn whether it is allowed."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """The broker denied it (authorization)."""


@dataclass(frozen=True, slots=True)
class PartitionFailure:
    """One partition of an admin call that failed, though the call as a whole did not."""

    partition: TopicPartition
    reason: str


class KafkaWriter(Protocol):
    """What drkit changes on a cluster."""

    def warm_up(self, topic: str) -> None:
        """Connect the client behind ``probe_write`` without writing anything; the topic must exist."""

    def create_topic(self, name: str, *, partitions: int, replication_factor: int, configs: Mapping[str, str]) -> bool:
        """Make a topic; False if it was there."""

    def alter_topic_configs(self, topic: str, configs: Mapping[str, str]) -> None:
        """Set these configs and leave the others (incremental alter, KIP-339)."""

    def alter_group_offsets(self, group: str, offsets: Mapping[TopicPartition, int]) -> Sequence[PartitionFailure]:
        """Commit for a group without members; the answer lists the partitions that were not written.

        Raises ``RefusedError`` when the group has members, ``AuthError`` when drkit may not commit for it.
        """

    def delete_group(self, group: str) -> None:
        """Remove a group with all its offsets; one that does not exist is no error.

        Raises ``RefusedError`` when the group has members.
        """

    def create_acls(self, acls: Collection[Acl]) -> None:
        """Add bindings; each one's result is looked at."""

    def delete_acls(self, acls: Collection[Acl]) -> None:
        """Remove exactly these bindings; one that is gone already is no error."""

    def probe_write(self, topic: str, value: bytes) -> tuple[ProbeOutcome, int]:
        """Produce one record with acks=all to partition 0; the outcome and its offset (-1 if refused).

        Raises ``RefusedError`` for a topic that does not exist.
        """

    def probe_commit(self, group: str, partition: TopicPartition, offset: int) -> ProbeOutcome:
        """Commit one offset as a member-less consumer of ``group``."""


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


class PreconditionFailed(Exception):
    """A conditional write lost: the object was there, was gone, or had changed (HTTP 412)."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object and its ETag."""

    key: str
    body: bytes
    etag: str


class ObjectStore(Protocol):
    """S3's conditional writes; keys are relative to the service's prefix in the state bucket."""

    def get(self, key: str) -> StoredObject | None:
        """The object, or None."""

    def create(self, key: str, body: bytes) -> str:
        """Write with ``If-None-Match: *``; the ETag. Raises ``PreconditionFailed`` if the key exists."""

    def replace(self, key: str, body: bytes, etag: str) -> str:
        """Write with ``If-Match``; the new ETag. Raises ``PreconditionFailed`` if it changed or is gone."""

    def list(self, prefix: str) -> Iterable[str]:
        """Keys below a prefix, sorted."""


@dataclass(frozen=True, slots=True)
class RecordSet:
    """The observed value of a redirect target: sorted values and TTL; empty values where there is no record."""

    values: tuple[str, ...]
    ttl_seconds: int


class RedirectTarget(Protocol):
    """One thing that tells clients where the service is (a Route 53 record set)."""

    @property
    def name(self) -> str:
        """How reports call it."""

    def values_for(self, region: str) -> tuple[str, ...]:
        """The values that point at a region, as configured; sorted."""

    def observe(self) -> RecordSet:
        """The control plane's value now. Raises ``RefusedError`` if the zone is not the expected one."""

    def answers(self) -> Mapping[str, tuple[str, ...]]:
        """What each name server answers now (server to sorted values); an unreachable one has no values."""


class RedirectWriter(RedirectTarget, Protocol):
    """A redirect target that can be changed."""

    def switch(self, expected: RecordSet, region: str) -> str:
        """Delete exactly ``expected`` and create the region's values in one batch; the change's id.

        Raises ``StalePlanError`` when the record is no longer as expected.
        """

    def is_in_sync(self, change_id: str) -> bool:
        """Whether every authoritative server has the change (INSYNC)."""


class ProbeStatus(StrEnum):
    """The answer of an HTTP health probe."""

    UP = "up"
    DOWN = "down"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """One answer, with what it said."""

    name: str
    status: ProbeStatus
    detail: str


class HealthProbe(Protocol):
    """Something of a region that can be asked for its health."""

    def ask(self) -> ProbeAnswer:
        """Ask once; never raises."""


class FenceDriver(Protocol):
    """How writes and commits are stopped on one cluster. Putting and lifting are safe to repeat."""

    def put_producers(self) -> Mapping[str, object]:
        """Stop the applications' writes; what was done, as evidence."""

    def lift_producers(self) -> Mapping[str, object]:
        """Allow them again; removes only what drkit put."""

    def is_put(self) -> bool | None:
        """Whether the producers' fence is there; None if it cannot be told without a probe."""

    def put_consumers(self, groups: Collection[str]) -> Mapping[str, object]:
        """Stop the applications' commits in these groups."""

    def lift_consumers(self) -> Mapping[str, object]:
        """Allow them again."""


Progress = Callable[[str], None]
"""Receives a short text about what is being waited for."""
