"""The calls of a fake Kafka cluster that backups and restores make, and what all its calls share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from drkit.domain.inventory import CommittedPosition, GroupInventory, GroupMember, GroupType, ScramUser
from drkit.domain.kafka import GroupState, TopicPartition
from drkit.errors import AuthError, RefusedError
from drkit.ports import LogTimes, PartitionFailure
from tests.fakes.kafka_cluster import DRKIT, FakeCluster
from tests.fakes.kafka_log import FakeLog
from tests.fakes.scripted import Scripted

Position = TypeVar("Position")
_METADATA_BYTES = 4096
"""``offset.metadata.max.bytes``, as it is by default."""


class InventoryCalls(Scripted):
    """``InventoryReader`` and ``InventoryWriter``."""

    def __init__(self, region: str, cluster: FakeCluster) -> None:
        super().__init__()
        self.region = region
        self.cluster = cluster

    def scram_users(self) -> Mapping[str, ScramUser]:
        self._begin("scram_users", "")
        self.authorize("describe", "cluster", "kafka-cluster")
        return {name: self.cluster.users[name] for name in sorted(self.cluster.users)}

    def group_inventory(self, groups: Collection[str] | None = None) -> Mapping[str, GroupInventory]:
        self._begin("group_inventory", "" if groups is None else " ".join(sorted(groups)))
        there = [name for name in self.group_names() if groups is None or name in groups]
        for name in there:
            self.authorize("describe", "group", name)
        return {name: self._inventory(name) for name in there}

    def _inventory(self, name: str) -> GroupInventory:
        clients = sorted(self.cluster.members.get(name, ()))
        return GroupInventory(
            group=name,
            group_type=GroupType.CONSUMER if name in self.cluster.consumer_groups else GroupType.CLASSIC,
            state=self.state(name),
            assignor="range" if clients else "",
            members=tuple(GroupMember(client, "/127.0.0.1") for client in clients),
            positions={
                p: self.cluster.position(name, p)
                for p in sorted(self.cluster.committed.get(name, {}))
                if self.may_read(p)
            },
        )

    def log_times(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, LogTimes]:
        self._begin("log_times", str(len(partitions)))
        return {p: _times(self.log(p, "describe")) for p in partitions}

    def add_partitions(self, topic: str, total: int) -> None:
        fault = self._begin("add_partitions", topic)
        self.authorize("alter", "topic", topic)
        if topic not in self.cluster.configs:
            raise RefusedError(f"{self.region} has no topic {topic}")
        if total <= len(self.numbers(topic)):
            raise RefusedError(f"topic {topic} has {len(self.numbers(topic))} partitions")
        self.cluster.add_partitions(topic, total)
        self._end(fault, "add_partitions", topic)

    def commit_positions(
        self, group: str, positions: Mapping[TopicPartition, CommittedPosition]
    ) -> Sequence[PartitionFailure]:
        fault = self._begin("commit_positions", group)
        long = [p for p, position in positions.items() if len(position.metadata.encode()) > _METADATA_BYTES]
        short = {p: position for p, position in positions.items() if p not in long}
        failed = self.commit_for(group, short, self.cluster.commit_positions)
        self._end(fault, "commit_positions", group)
        return [*failed, *(PartitionFailure(p, "offset metadata too large") for p in long)]

    def commit_for(
        self,
        group: str,
        positions: Mapping[TopicPartition, Position],
        commit: Callable[[str, Mapping[TopicPartition, Position]], None],
    ) -> Sequence[PartitionFailure]:
        """Commit as far as it is allowed, and say what is not."""
        self.authorize("read", "group", group)
        self.require_idle(group)
        known = {p: position for p, position in positions.items() if p in self.cluster.logs and self.may_read(p)}
        if known:
            commit(group, known)
        return [
            PartitionFailure(p, "unknown topic or partition" if self.may_read(p) else "topic authorization failed")
            for p in positions
            if p not in known
        ]

    def may_read(self, partition: TopicPartition) -> bool:
        return self.cluster.is_allowed(DRKIT, "read", "topic", partition.topic)

    def numbers(self, topic: str) -> list[int]:
        return sorted(p.partition for p in self.cluster.logs if p.topic == topic)

    def log(self, partition: TopicPartition, operation: str) -> FakeLog:
        self.authorize(operation, "topic", partition.topic)
        if partition not in self.cluster.logs:
            raise RefusedError(f"{self.region} has no partition {partition}")
        return self.cluster.logs[partition]

    def group_names(self) -> list[str]:
        return sorted({*self.cluster.committed, *self.cluster.members})

    def state(self, group: str) -> GroupState:
        if self.cluster.members.get(group):
            return GroupState.ACTIVE
        return GroupState.EMPTY if group in self.group_names() else GroupState.DEAD

    def authorize(self, operation: str, resource_type: str, name: str) -> None:
        if not self.cluster.is_allowed(DRKIT, operation, resource_type, name):
            raise AuthError(f"{DRKIT} may not {operation} {resource_type} {name} at {self.region}")

    def require_idle(self, group: str) -> None:
        if self.cluster.members.get(group):
            raise RefusedError(f"group {group} has members at {self.region}: its offsets cannot be set")


def _times(log: FakeLog) -> LogTimes:
    times = [entry.record.timestamp_ms for entry in log.entries if entry.record is not None]
    known = [time for time in times if time >= 0]
    return LogTimes(known[0] if known else None, max(known) if known else None)
