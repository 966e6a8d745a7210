"""One Kafka cluster: what drkit reads of it, and what it changes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from drkit.domain.kafka import (
    Acl,
    ClusterDescription,
    GroupDescription,
    GroupOffsets,
    LogRange,
    Record,
    TopicDescription,
    TopicPartition,
)


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

    def hidden_topics(self, names: Collection[str]) -> Collection[str]:
        """Those of these topics that are not known not to exist, and that ``describe_topics`` leaves out.

        Topics that drkit may not describe: a cluster does not even say whether they exist.
        """

    def log_ranges(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, LogRange]:
        """Start, end and last stable offset of each partition.

        Raises ``RefusedError`` where one of them does not exist, has no leader, or may not be seen.
        """

    def groups(self) -> Mapping[str, GroupDescription]:
        """Every consumer group (classic and consumer protocol) with its state, without its members."""

    def foreign_groups(self) -> Mapping[str, str]:
        """Groups that ``groups`` leaves out and that may have positions: name and protocol type, if known.

        Share and Streams groups: where they are cannot be read or set by committed offsets.
        """

    def describe_groups(self, names: Collection[str]) -> Mapping[str, GroupDescription]:
        """These groups with their members; one that does not exist is DEAD."""

    def committed_offsets(self, groups: Collection[str], *, stable: bool = False) -> GroupOffsets:
        """Each group's committed offsets; a group without any has an empty mapping.

        ``stable``: nothing that was committed before is missing. It waits for transactions that hold commits of the
        groups, and for coordinators that have just taken over. Raises ``RefusedError`` where a transaction does not end
        in time.
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
