"""A region in memory: logs with gaps, groups, a fence; and a Connect cluster. As far as verification looks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

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
from drkit.errors import DrkitError, UnreachableError
from drkit.ports import ConnectorState, ConnectorStatus, PartitionFailure, ProbeOutcome, ReadRange, TopicTail

CANARY = "drkit.canary"


@dataclass
class MemoryLog:
    """One partition: a value per offset, None where a marker or an aborted record stands."""

    start: int = 0
    entries: list[Record | None] = field(default_factory=list)
    open_from: int | None = None
    """Where an open transaction begins: nothing from there on can be read committed."""

    @property
    def end(self) -> int:
        return self.start + len(self.entries)

    @property
    def stable_end(self) -> int:
        return self.end if self.open_from is None else self.open_from


@dataclass
class MemoryRegion:
    """``KafkaReader`` and ``KafkaWriter`` in one. ``failure``: raised by every call while set."""

    region: str
    cluster_id_: str = "id"
    failure: DrkitError | None = None
    logs: dict[TopicPartition, MemoryLog] = field(default_factory=dict)
    configs: dict[str, dict[str, str]] = field(default_factory=dict)
    partitions: dict[str, tuple[PartitionDescription, ...]] = field(default_factory=dict)
    committed: dict[str, dict[TopicPartition, int]] = field(default_factory=dict)
    fenced: bool = False
    reads: list[list[ReadRange]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.add(TopicPartition(CANARY, 0), [])

    # What tests do

    def add(
        self, partition: TopicPartition, values: Sequence[str | None], *, at_ms: int = 0, keys: Sequence[str] = ()
    ) -> None:
        """Append a record per text and a marker per None; the partition is made if it is not there."""
        log = self.logs.setdefault(partition, MemoryLog())
        for place, value in enumerate(values):
            key = keys[place].encode() if keys else None
            log.entries.append(
                None if value is None else Record(partition, log.end, at_ms + log.end, key, value.encode())
            )

    def copy(self, source: Record, to: TopicPartition) -> None:
        """Append a record as a mirror does: everything but the offset is kept."""
        log = self.logs.setdefault(to, MemoryLog())
        log.entries.append(Record(to, log.end, source.timestamp_ms, source.key, source.value, source.headers))

    def die(self) -> None:
        self.failure = UnreachableError(f"{self.region} does not answer")

    # KafkaReader

    def _ask(self, call: str) -> None:
        self.calls.append(call)
        if self.failure is not None:
            raise self.failure

    def describe_cluster(self) -> ClusterDescription:
        self._ask("describe_cluster")
        return ClusterDescription(self.cluster_id_, 1, {1: "broker:9092"})

    def topics(self) -> Mapping[str, TopicDescription]:
        return {
            name: TopicDescription(name, "", topic.partitions, self.configs.get(name, {}))
            for name, topic in self.describe_topics().items()
        }

    def describe_topics(self, names: Collection[str] | None = None) -> Mapping[str, TopicDescription]:
        self._ask("describe_topics")
        found = {p.topic for p in self.logs}
        return {
            name: TopicDescription(name, "", self.partitions.get(name) or self._partitions(name))
            for name in sorted(found)
            if names is None or name in names
        }

    def _partitions(self, name: str) -> tuple[PartitionDescription, ...]:
        return tuple(PartitionDescription(p.partition, 1, (1,), (1,)) for p in sorted(self.logs) if p.topic == name)

    def hidden_topics(self, names: Collection[str]) -> Collection[str]:
        _unused()

    def log_ranges(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, LogRange]:
        self._ask("log_ranges")
        return {p: LogRange(self.logs[p].start, self.logs[p].end, self.logs[p].stable_end) for p in partitions}

    def groups(self) -> Mapping[str, GroupDescription]:
        self._ask("groups")
        return {group: GroupDescription(group, GroupState.EMPTY) for group in self.committed}

    def committed_offsets(
        self, groups: Collection[str], *, stable: bool = False
    ) -> Mapping[str, Mapping[TopicPartition, int]]:
        self._ask("committed_offsets")
        return {group: dict(self.committed.get(group, {})) for group in groups}

    def foreign_groups(self) -> Mapping[str, str]:
        _unused()

    def acls(self) -> frozenset[Acl]:
        _unused()

    def describe_groups(self, names: Collection[str]) -> Mapping[str, GroupDescription]:
        _unused()

    def read(self, ranges: Sequence[ReadRange], *, committed: bool = True) -> Iterator[Record]:
        self._ask("read")
        assert committed
        self.reads.append(list(ranges))
        for one in ranges:
            log = self.logs[one.partition]
            assert log.start <= one.start <= one.end, one
            assert one.end <= log.stable_end, "a committed read would wait here for the transaction to end"
            for entry in log.entries[one.start - log.start : one.end - log.start]:
                if entry is not None:
                    yield entry

    def data_offsets(self, ranges: Sequence[ReadRange]) -> Mapping[TopicPartition, Sequence[int]]:
        found: dict[TopicPartition, list[int]] = {one.partition: [] for one in ranges}
        for record in self.read(ranges):
            found[record.partition].append(record.offset)
        return found

    def tail(self, topic: str) -> TopicTail:
        _unused()

    # KafkaWriter

    def probe_write(self, topic: str, value: bytes) -> tuple[ProbeOutcome, int]:
        self._ask("probe_write")
        if self.fenced:
            return ProbeOutcome.REFUSED, -1
        partition = TopicPartition(topic, 0)
        self.add(partition, [value.decode()])
        return ProbeOutcome.ACCEPTED, self.logs[partition].end - 1

    def warm_up(self, topic: str) -> None:
        _unused()

    def create_topic(self, name: str, *, partitions: int, replication_factor: int, configs: Mapping[str, str]) -> bool:
        _unused()

    def alter_topic_configs(self, topic: str, configs: Mapping[str, str]) -> None:
        _unused()

    def alter_group_offsets(self, group: str, offsets: Mapping[TopicPartition, int]) -> Sequence[PartitionFailure]:
        _unused()

    def delete_group(self, group: str) -> None:
        _unused()

    def create_acls(self, acls: Collection[Acl]) -> None:
        _unused()

    def delete_acls(self, acls: Collection[Acl]) -> None:
        _unused()

    def probe_commit(self, group: str, partition: TopicPartition, offset: int) -> ProbeOutcome:
        _unused()


@dataclass
class MemoryConnect:
    """``ConnectReader``."""

    positions: dict[TopicPartition, int] = field(default_factory=dict)
    statuses: dict[str, ConnectorStatus] = field(default_factory=dict)
    failure: DrkitError | None = None

    def _ask(self) -> None:
        if self.failure is not None:
            raise self.failure

    def cluster_id(self) -> str:
        _unused()

    def connectors(self) -> Mapping[str, ConnectorStatus]:
        _unused()

    def status(self, name: str) -> ConnectorStatus:
        self._ask()
        return self.statuses.get(name, ConnectorStatus(name, ConnectorState.ABSENT))

    def config(self, name: str) -> Mapping[str, str]:
        _unused()

    def connector_offsets(self, name: str) -> tuple[Mapping[str, Any], ...]:
        return ()

    def source_offsets(self, name: str) -> Mapping[TopicPartition, int]:
        self._ask()
        return dict(self.positions)


def _unused() -> NoReturn:
    raise AssertionError("nothing in verification calls this")
