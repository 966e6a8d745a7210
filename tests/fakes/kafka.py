"""A Kafka cluster in memory, as ``tests/contracts`` proves it of the real one, with faults on demand."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from drkit.domain.kafka import (
    Acl,
    ClusterDescription,
    GroupDescription,
    LogRange,
    PartitionDescription,
    Record,
    TopicDescription,
    TopicPartition,
)
from drkit.errors import RefusedError
from drkit.ports import PartitionFailure, ProbeOutcome, ReadRange
from tests.fakes.kafka_cluster import DRKIT, FakeCluster
from tests.fakes.kafka_inventory import InventoryCalls
from tests.fakes.kafka_log import FakeLog

__all__ = ["DRKIT", "FakeCluster", "FakeKafka", "FakeTail"]

_TOPIC_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_NAMED_CONFIGS = frozenset(
    {
        "cleanup.policy",
        "compression.type",
        "max.message.bytes",
        "message.timestamp.type",
        "min.compaction.lag.ms",
        "min.insync.replicas",
        "retention.ms",
    }
)


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


class FakeKafka(InventoryCalls):
    """``KafkaReader`` and ``KafkaWriter`` of one identity, and ``InventoryReader`` and ``InventoryWriter``."""

    def __init__(self, region: str, cluster: FakeCluster | None = None) -> None:
        super().__init__(region, cluster or FakeCluster())
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
            name: TopicDescription(name, "", tuple(PartitionDescription(p, 1, (1,), (1,)) for p in self.numbers(name)))
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
        return {p: self.log(p, "describe").range for p in partitions}

    def groups(self) -> Mapping[str, GroupDescription]:
        self._begin("groups", "")
        return {name: GroupDescription(name, self.state(name)) for name in self.group_names()}

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
                name, self.state(name), tuple(f"{client} at /127.0.0.1" for client in members.get(name, ()))
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
            group: {p: offset for p, offset in self.cluster.committed.get(group, {}).items() if self.may_read(p)}
            for group in groups
        }

    def acls(self) -> frozenset[Acl]:
        self._begin("acls", "")
        return frozenset(self.cluster.acls)

    def read(self, ranges: Sequence[ReadRange], *, committed: bool = True) -> Iterator[Record]:
        self._begin("read", str(len(ranges)))
        logs = {one.partition: self.log(one.partition, "read") for one in ranges if one.start < one.end}
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
        return [self.cluster.logs[TopicPartition(topic, number)] for number in self.numbers(topic)]

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
        failed = self.commit_for(group, offsets, self.cluster.commit)
        self._end(fault, "alter_group_offsets", group)
        return failed

    def delete_group(self, group: str) -> None:
        fault = self._begin("delete_group", group)
        self.authorize("delete", "group", group)
        self.require_idle(group)
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
        if not (self.cluster.is_allowed(DRKIT, "read", "group", group) and self.may_read(partition)):
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
