"""What a Kafka cluster in memory holds, and what others than drkit do to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from drkit.domain.inventory import CommittedPosition, ScramUser
from drkit.domain.kafka import Acl, TopicPartition
from tests.fakes.kafka_log import FakeLog, FakeTransaction

DRKIT = "User:drkit"
_EVERYBODY = "User:*"


@dataclass
class FakeCluster:
    """What a cluster holds, and what others than drkit do to it. Where no ACL speaks of a resource, all is allowed."""

    cluster_id: str = "cluster-1"
    logs: dict[TopicPartition, FakeLog] = field(default_factory=dict)
    configs: dict[str, dict[str, str]] = field(default_factory=dict)
    committed: dict[str, dict[TopicPartition, int]] = field(default_factory=dict)
    pending: dict[str, dict[TopicPartition, int]] = field(default_factory=dict)
    """Per group what a transaction that has not ended commits."""
    members: dict[str, list[str]] = field(default_factory=dict)
    foreign_groups: dict[str, str] = field(default_factory=dict)
    beside: dict[str, dict[TopicPartition, CommittedPosition]] = field(default_factory=dict)
    """What was committed with metadata or a leader epoch."""
    consumer_groups: set[str] = field(default_factory=set)
    """Groups of the type consumer (KIP-848); the others are classic."""
    users: dict[str, ScramUser] = field(default_factory=dict)
    acls: set[Acl] = field(default_factory=set)
    topic_ids: dict[str, str] = field(default_factory=dict)
    """A topic that is made again has another id."""
    ids: Iterator[int] = field(default_factory=count)

    def create(self, topic: str, partitions: int = 1, configs: Mapping[str, str] | None = None) -> None:
        """Make a topic."""
        self.configs[topic] = dict(configs or {})
        self.topic_ids[topic] = f"id-{next(self.ids):019d}"
        for number in range(partitions):
            partition = TopicPartition(topic, number)
            self.logs[partition] = FakeLog(partition)

    def add_partitions(self, topic: str, total: int) -> None:
        """Give a topic more partitions."""
        for number in range(total):
            self.logs.setdefault(TopicPartition(topic, number), FakeLog(TopicPartition(topic, number)))

    def drop(self, topic: str) -> None:
        """Remove a topic."""
        del self.configs[topic]
        self.logs = {p: log for p, log in self.logs.items() if p.topic != topic}

    def write(self, partition: TopicPartition, *values: bytes | None, at_ms: int = 0) -> None:
        """Append records."""
        for value in values:
            self.logs[partition].append(value, at_ms=at_ms)

    def begin(self, partition: TopicPartition, *values: bytes) -> FakeTransaction:
        """Append records in a transaction, which stays open."""
        transaction = FakeTransaction()
        for value in values:
            self.logs[partition].append(value, transaction=transaction)
        return transaction

    def commit(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit for a group."""
        self.committed.setdefault(group, {}).update(offsets)
        for partition in offsets:
            self.beside.get(group, {}).pop(partition, None)

    def commit_positions(self, group: str, positions: Mapping[TopicPartition, CommittedPosition]) -> None:
        """Commit for a group, with metadata and leader epochs."""
        self.commit(group, {partition: position.offset for partition, position in positions.items()})
        self.beside.setdefault(group, {}).update(positions)

    def position(self, group: str, partition: TopicPartition) -> CommittedPosition:
        """What a group committed last."""
        return self.beside.get(group, {}).get(partition) or CommittedPosition(self.committed[group][partition])

    def join(self, group: str, client: str = "app") -> None:
        """A member joins."""
        self.members.setdefault(group, []).append(client)

    def leave(self, group: str) -> None:
        """Every member leaves."""
        self.members.pop(group, None)
        self.committed.setdefault(group, {})

    def is_allowed(self, principal: str, operation: str, resource_type: str, name: str) -> bool:
        """The authorizer's answer: a denial counts more than any allowance."""
        about = [acl for acl in self.acls if acl.covers(resource_type, name)]
        own = [a for a in about if a.principal in (principal, _EVERYBODY) and a.operation in (operation, "all")]
        if any(acl.permission == "deny" for acl in own):
            return False
        return not about or bool(own)
