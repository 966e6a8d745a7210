"""A Kafka cluster in memory, as ``tests/contracts`` proves it of the real one, with faults on demand."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from drkit.domain.kafka import (
    Acl,
    ClusterDescription,
    GroupDescription,
    GroupState,
    LogRange,
    PartitionDescription,
    Record,
    TopicDescription,
    TopicPartition,
)
from drkit.errors import AuthError, RefusedError
from drkit.ports import PartitionFailure, ProbeOutcome, ReadRange
from tests.fakes.kafka_log import FakeLog, FakeTransaction
from tests.fakes.scripted import Scripted

DRKIT = "User:drkit"
_EVERYBODY = "User:*"
_TOPIC_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_NAMED_CONFIGS = frozenset({"cleanup.policy", "retention.ms", "min.compaction.lag.ms", "message.timestamp.type"})


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


class FakeTail:
    """``TopicTail``."""

    def __init__(self, kafka: FakeKafka, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._next: dict[TopicPartition, int] = {}
        self.is_closed = False

    def catch_up(self) -> Sequence[Record]:
        found: list[Record] = []
        for log in self._kafka.logs_of(self._topic, "catch_up"):
            self._kafka.authorize("read", "topic", self._topic)
            found += log.read(self._next.get(log.partition, 0), log.end, committed=True)
            self._next[log.partition] = log.stable_end
        return found

    def close(self) -> None:
        self.is_closed = True


class FakeKafka(Scripted):
    """``KafkaReader`` and ``KafkaWriter`` of one identity."""

    def __init__(self, region: str, cluster: FakeCluster | None = None) -> None:
        super().__init__()
        self.region = region
        self.cluster = cluster or FakeCluster()
        self.tails: list[FakeTail] = []

    def describe_cluster(self) -> ClusterDescription:
        self._end(self._begin("describe_cluster", ""), "describe_cluster", "")
        return ClusterDescription(self.cluster.cluster_id, 1, {1: "127.0.0.1:9092"})

    def topics(self) -> Mapping[str, TopicDescription]:
        return {
            name: TopicDescription(
                name, self.cluster.topic_ids[name], topic.partitions, dict(self.cluster.configs[name])
            )
            for name, topic in self.describe_topics().items()
        }

    def describe_topics(self, names: Collection[str] | None = None) -> Mapping[str, TopicDescription]:
        self._begin("describe_topics", "")
        return {
            name: TopicDescription(name, "", tuple(PartitionDescription(p, 1, (1,), (1,)) for p in self._numbers(name)))
            for name in self.cluster.configs
            if (names is None or name in names)
            and not name.startswith("__")
            and self.cluster.is_allowed(DRKIT, "describe", "topic", name)
        }

    def hidden_topics(self, names: Collection[str]) -> Collection[str]:
        self._begin("hidden_topics", " ".join(sorted(names)))
        return [name for name in names if not self.cluster.is_allowed(DRKIT, "describe", "topic", name)]

    def log_ranges(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, LogRange]:
        self._begin("log_ranges", str(len(partitions)))
        return {p: self._log(p, "describe").range for p in partitions}

    def groups(self) -> Mapping[str, GroupDescription]:
        self._begin("groups", "")
        return {name: GroupDescription(name, self._state(name)) for name in self._group_names()}

    def foreign_groups(self) -> Mapping[str, str]:
        self._begin("foreign_groups", "")
        return dict(self.cluster.foreign_groups)

    def describe_groups(self, names: Collection[str]) -> Mapping[str, GroupDescription]:
        self._begin("describe_groups", " ".join(sorted(names)))
        for name in names:
            self.authorize("describe", "group", name)
        members = self.cluster.members
        return {
            name: GroupDescription(
                name, self._state(name), tuple(f"{client} at /127.0.0.1" for client in members.get(name, ()))
            )
            for name in names
        }

    def committed_offsets(
        self, groups: Collection[str], *, stable: bool = False
    ) -> Mapping[str, Mapping[TopicPartition, int]]:
        self._begin("committed_offsets", " ".join(sorted(groups)))
        for group in groups:
            self.authorize("describe", "group", group)
            if stable and self.cluster.pending.get(group):
                raise RefusedError(f"offset of group {group}: a transaction that has not ended holds it")
        return {
            group: {p: offset for p, offset in self.cluster.committed.get(group, {}).items() if self._may_read(p)}
            for group in groups
        }

    def acls(self) -> frozenset[Acl]:
        self._begin("acls", "")
        return frozenset(self.cluster.acls)

    def read(self, ranges: Sequence[ReadRange], *, committed: bool = True) -> Iterator[Record]:
        self._begin("read", str(len(ranges)))
        logs = {one.partition: self._log(one.partition, "read") for one in ranges if one.start < one.end}
        for partition, log in logs.items():
            own = [one for one in ranges if one.partition == partition]
            for record in log.read(min(r.start for r in own), max(r.end for r in own), committed=committed):
                if any(one.start <= record.offset < one.end for one in own):
                    yield record

    def data_offsets(self, ranges: Sequence[ReadRange]) -> Mapping[TopicPartition, Sequence[int]]:
        found: dict[TopicPartition, list[int]] = {one.partition: [] for one in ranges}
        for record in self.read(ranges):
            found[record.partition].append(record.offset)
        return found

    def tail(self, topic: str) -> FakeTail:
        self.logs_of(topic, "tail")
        self.tails.append(FakeTail(self, topic))
        return self.tails[-1]

    def logs_of(self, topic: str, call: str) -> list[FakeLog]:
        """The logs of a topic that is there."""
        self._begin(call, topic)
        if topic not in self.describe_topics([topic]):
            raise RefusedError(f"{self.region} has no topic {topic}")
        return [self.cluster.logs[TopicPartition(topic, number)] for number in self._numbers(topic)]

    def warm_up(self, topic: str) -> None:
        self.logs_of(topic, "warm_up")

    def create_topic(self, name: str, *, partitions: int, replication_factor: int, configs: Mapping[str, str]) -> bool:
        fault = self._begin("create_topic", name)
        if not _TOPIC_NAME.fullmatch(name) or name in (".", ".."):
            raise RefusedError(f"{name!r} is no name of a topic")
        if replication_factor > 1:
            raise RefusedError("there is one broker")
        if name in self.cluster.configs:
            return False
        self.cluster.create(name, partitions, configs)
        self._end(fault, "create_topic", name)
        return True

    def alter_topic_configs(self, topic: str, configs: Mapping[str, str]) -> None:
        fault = self._begin("alter_topic_configs", topic)
        if topic not in self.cluster.configs:
            raise RefusedError(f"{self.region} has no topic {topic}")
        if not configs.keys() <= _NAMED_CONFIGS:
            raise RefusedError(f"{sorted(configs.keys() - _NAMED_CONFIGS)} are no configs")
        self.cluster.configs[topic].update(configs)
        self._end(fault, "alter_topic_configs", topic)

    def alter_group_offsets(self, group: str, offsets: Mapping[TopicPartition, int]) -> Sequence[PartitionFailure]:
        fault = self._begin("alter_group_offsets", group)
        self.authorize("read", "group", group)
        self._require_idle(group)
        known = {p: offset for p, offset in offsets.items() if p in self.cluster.logs and self._may_read(p)}
        if known:
            self.cluster.commit(group, known)
        self._end(fault, "alter_group_offsets", group)
        return [
            PartitionFailure(p, "unknown topic or partition" if self._may_read(p) else "topic authorization failed")
            for p in offsets
            if p not in known
        ]

    def delete_group(self, group: str) -> None:
        fault = self._begin("delete_group", group)
        self.authorize("delete", "group", group)
        self._require_idle(group)
        self.cluster.committed.pop(group, None)
        self._end(fault, "delete_group", group)

    def create_acls(self, acls: Collection[Acl]) -> None:
        self._change_acls("create_acls", self.cluster.acls.update, acls)

    def delete_acls(self, acls: Collection[Acl]) -> None:
        self._change_acls("delete_acls", self.cluster.acls.difference_update, acls)

    def probe_write(self, topic: str, value: bytes) -> tuple[ProbeOutcome, int]:
        fault = self._begin("probe_write", topic)
        if not self.cluster.is_allowed(DRKIT, "write", "topic", topic):
            return ProbeOutcome.REFUSED, -1
        offset = self.logs_of(topic, "leader")[0].append(value)
        self._end(fault, "probe_write", topic)
        return ProbeOutcome.ACCEPTED, offset

    def probe_commit(self, group: str, partition: TopicPartition, offset: int) -> ProbeOutcome:
        fault = self._begin("probe_commit", group)
        if not (self.cluster.is_allowed(DRKIT, "read", "group", group) and self._may_read(partition)):
            return ProbeOutcome.REFUSED
        if partition not in self.cluster.logs:
            raise RefusedError(f"{self.region} has no partition {partition}")
        self.cluster.commit(group, {partition: offset})
        self._end(fault, "probe_commit", group)
        return ProbeOutcome.ACCEPTED

    def _change_acls(self, call: str, change: Callable[[Collection[Acl]], None], acls: Collection[Acl]) -> None:
        fault = self._begin(call, str(len(acls)))
        self.authorize("alter", "cluster", "kafka-cluster")
        change(acls)
        self._end(fault, call, str(len(acls)))

    def _may_read(self, partition: TopicPartition) -> bool:
        return self.cluster.is_allowed(DRKIT, "read", "topic", partition.topic)

    def _numbers(self, topic: str) -> list[int]:
        return sorted(p.partition for p in self.cluster.logs if p.topic == topic)

    def _log(self, partition: TopicPartition, operation: str) -> FakeLog:
        self.authorize(operation, "topic", partition.topic)
        if partition not in self.cluster.logs:
            raise RefusedError(f"{self.region} has no partition {partition}")
        return self.cluster.logs[partition]

    def _group_names(self) -> list[str]:
        return sorted({*self.cluster.committed, *self.cluster.members})

    def _state(self, group: str) -> GroupState:
        if self.cluster.members.get(group):
            return GroupState.ACTIVE
        return GroupState.EMPTY if group in self._group_names() else GroupState.DEAD

    def authorize(self, operation: str, resource_type: str, name: str) -> None:
        if not self.cluster.is_allowed(DRKIT, operation, resource_type, name):
            raise AuthError(f"{DRKIT} may not {operation} {resource_type} {name} at {self.region}")

    def _require_idle(self, group: str) -> None:
        if self.cluster.members.get(group):
            raise RefusedError(f"group {group} has members at {self.region}: its offsets cannot be set")
