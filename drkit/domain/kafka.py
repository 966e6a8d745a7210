"""What drkit knows of a Kafka cluster, as plain values.

Names come from brokers and are untrusted text: they are shown through ``drkit.domain.naming.printable`` and never
used as paths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class TopicPartition(NamedTuple):
    """One partition of one topic. Sorts by topic, then partition."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


GroupOffsets = Mapping[str, Mapping[TopicPartition, int]]
"""Per group and partition, the group's committed offset: the next one that it reads."""


@dataclass(frozen=True, slots=True)
class PartitionDescription:
    """Leader and replicas of a partition, as broker ids; ``leader`` is None while there is none."""

    partition: int
    leader: int | None
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]

    @property
    def is_under_replicated(self) -> bool:
        """Whether a replica is missing from the in-sync set."""
        return len(self.in_sync) < len(self.replicas)


@dataclass(frozen=True, slots=True)
class TopicDescription:
    """A topic: its id (KIP-516; empty where the broker has none), partitions, and non-default configs."""

    name: str
    topic_id: str
    partitions: tuple[PartitionDescription, ...]
    configs: Mapping[str, str] = field(default_factory=dict)

    @property
    def topic_partitions(self) -> tuple[TopicPartition, ...]:
        """Every partition of the topic, in order."""
        return tuple(TopicPartition(self.name, p.partition) for p in self.partitions)

    @property
    def is_compacted(self) -> bool:
        """Whether records with a newer one of the same key may be gone."""
        return "compact" in self.configs.get("cleanup.policy", "")


@dataclass(frozen=True, slots=True)
class ClusterDescription:
    """A cluster's id and its live brokers (id to ``host:port``)."""

    cluster_id: str
    controller_id: int | None
    brokers: Mapping[int, str]


class GroupState(StrEnum):
    """Consumer group states that matter to drkit. Only EMPTY and DEAD groups accept offsets from an admin."""

    EMPTY = "empty"
    DEAD = "dead"
    ACTIVE = "active"
    """Stable, rebalancing, assigning or reconciling: it has members."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class GroupDescription:
    """A consumer group, its state, and who is in it (``client.id`` at host)."""

    group: str
    state: GroupState
    members: tuple[str, ...] = ()

    @property
    def accepts_offsets(self) -> bool:
        """Whether an administrator may set its offsets."""
        return self.state in (GroupState.EMPTY, GroupState.DEAD)


@dataclass(frozen=True, slots=True)
class Record:
    """A record as read from a log. ``timestamp_ms`` is -1 where the log has none."""

    partition: TopicPartition
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Acl:
    """One ACL binding, in the wire's own words in lower case.

    ``resource_type``: topic, group, transactional_id, cluster. ``pattern_type``: literal, prefixed.
    ``operation``: read, write, all, ... ``permission``: allow, deny. ``principal``: ``User:name``.
    ``unknown`` stands for what drkit's client has no word for: users and delegation tokens as resources (KIP-373),
    operations on tokens, and two_phase_commit (KIP-939).
    """

    resource_type: str
    resource_name: str
    pattern_type: str
    principal: str
    host: str
    operation: str
    permission: str

    @property
    def is_known(self) -> bool:
        """Whether it can be made and taken back: one that has something unknown is told, and left as it is."""
        return "unknown" not in (self.resource_type, self.pattern_type, self.operation, self.permission)

    def covers(self, resource_type: str, name: str) -> bool:
        """Whether this binding applies to the resource (AclAuthorizer's matching: literal, ``*`` or prefix)."""
        if self.resource_type != resource_type:
            return False
        if self.pattern_type == "prefixed":
            return name.startswith(self.resource_name)
        return self.resource_name in (name, "*")


@dataclass(frozen=True, slots=True)
class LogRange:
    """The log's ends: first retained offset, high watermark, and last stable offset (all: next offset to come)."""

    start: int
    end: int
    stable_end: int

    @property
    def is_settled(self) -> bool:
        """Whether no transaction is open at the end."""
        return self.stable_end == self.end
