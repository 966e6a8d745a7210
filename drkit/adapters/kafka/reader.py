"""``KafkaReader`` on confluent-kafka."""

from __future__ import annotations

import warnings
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from struct import pack
from typing import Any, Final

from drkit.adapters.kafka.acl_wire import to_acl
from drkit.adapters.kafka.client import Connection
from drkit.adapters.kafka.failures import has_code
from drkit.adapters.kafka.group_wire import described_group, group_descriptions, listed_groups, state_of
from drkit.adapters.kafka.list_offsets import ask_offsets
from drkit.adapters.kafka.log_reader import RangeReader, Tail, Wanted, to_record
from drkit.adapters.kafka.topic_wire import described_topic, from_metadata
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
from drkit.errors import AuthError, DrkitError, RefusedError
from drkit.ports import ReadRange

_WORKERS: Final = ("connect", "sr")
"""Groups of Kafka Connect's and Schema Registry's workers have no positions."""


class ConfluentReader:
    """One cluster, read through one admin client and short-lived consumers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def region(self) -> str:
        """The region of the cluster."""
        return self._connection.region

    def describe_cluster(self) -> ClusterDescription:
        """Cluster id and live brokers."""
        found = self._connection.metadata()
        controller = found.controller_id if found.controller_id >= 0 else None
        brokers = {node: f"{broker.host}:{broker.port}" for node, broker in found.brokers.items()}
        return ClusterDescription(found.cluster_id, controller, brokers)

    def topics(self) -> Mapping[str, TopicDescription]:
        """Topics with ids and non-default configs."""
        from confluent_kafka import TopicCollection
        from confluent_kafka.admin import ConfigResource

        names = sorted(self.describe_topics())
        if not names:
            return {}
        described = self._admin.describe_topics(TopicCollection(names), request_timeout=self._timeout)
        resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
        configs = self._admin.describe_configs(resources, request_timeout=self._timeout)
        own = {resource.name: self._own_configs(future) for resource, future in configs.items()}
        return {
            name: described_topic(self._wait(f"describe topic {name}", future), own.get(name, {}))
            for name, future in described.items()
        }

    def describe_topics(self, names: Collection[str] | None = None) -> Mapping[str, TopicDescription]:
        """Topics by one metadata request."""
        return {
            name: from_metadata(topic)
            for name, topic in self._connection.metadata().topics.items()
            if not name.startswith("__") and topic.error is None and (names is None or name in names)
        }

    def hidden_topics(self, names: Collection[str]) -> Collection[str]:
        """Asked by name: only then does a broker answer for topics that drkit may not describe."""
        from confluent_kafka import TopicCollection

        unseen = sorted(set(names) - self.describe_topics().keys())
        if not unseen:
            return ()
        described = self._admin.describe_topics(TopicCollection(unseen), request_timeout=self._timeout)
        return [name for name, future in described.items() if self._is_hidden(name, future)]

    def _is_hidden(self, name: str, future: Any) -> bool:
        try:
            self._wait(f"describe topic {name}", future)
        except AuthError as error:
            if has_code(error, ("TOPIC_AUTHORIZATION_FAILED",)):
                return True
            raise
        except DrkitError as error:
            if has_code(error, ("UNKNOWN_TOPIC_OR_PART",)):
                return False
            raise
        return True

    def log_ranges(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, LogRange]:
        """Start, end and last stable offset: three requests per broker, whatever the number of partitions."""
        from confluent_kafka import IsolationLevel
        from confluent_kafka.admin import OffsetSpec

        if not partitions:
            return {}
        uncommitted, committed = IsolationLevel.READ_UNCOMMITTED, IsolationLevel.READ_COMMITTED
        # All in flight at once. Whichever is answered first, a range is never settled that was not at its end.
        asked = (
            ask_offsets(self._connection, partitions, OffsetSpec.earliest(), uncommitted),
            ask_offsets(self._connection, partitions, OffsetSpec.latest(), committed),
            ask_offsets(self._connection, partitions, OffsetSpec.latest(), uncommitted),
        )
        starts, stable, ends = ({p: found.offset for p, found in answers().items()} for answers in asked)
        return {p: LogRange(min(starts[p], ends[p]), ends[p], min(stable[p], ends[p])) for p in partitions}

    def _within_logs(self, ranges: Sequence[ReadRange], *, committed: bool) -> list[ReadRange]:
        """The ranges as far as there is something to read in them."""
        wanted = [one for one in ranges if one.start < one.end]
        logs = self.log_ranges({one.partition for one in wanted})
        ends = {p: log.stable_end if committed else log.end for p, log in logs.items()}
        return [
            ReadRange(p, max(start, logs[p].start), min(end, ends[p]))
            for p, start, end in ((one.partition, one.start, one.end) for one in wanted)
        ]

    def groups(self) -> Mapping[str, GroupDescription]:
        """Every classic and consumer group, without its members."""
        listed = listed_groups(self._connection)
        return {name: GroupDescription(name, state_of(group.state)) for name, group in listed.items()}

    def foreign_groups(self) -> Mapping[str, str]:
        """``list_consumer_groups`` of librdkafka keeps classic and consumer groups only; its older call has all."""
        found = self._connection.call("list all groups", self._admin, self._list_all_groups)
        known = self.groups()
        return {g.id: g.protocol_type for g in found if g.id not in known and g.protocol_type not in _WORKERS}

    def _list_all_groups(self) -> Any:
        with warnings.catch_warnings():
            # What it is deprecated for leaves out what is looked for here.
            warnings.simplefilter("ignore", DeprecationWarning)
            return self._admin.list_groups(timeout=self._timeout)

    def describe_groups(self, names: Collection[str]) -> Mapping[str, GroupDescription]:
        """Groups with their members."""
        if not names:
            return {}
        return {name: described_group(found) for name, found in group_descriptions(self._connection, names).items()}

    def committed_offsets(self, groups: Collection[str], *, stable: bool = False) -> GroupOffsets:
        """Committed offsets; one request per group, all in flight at once."""
        found = self._connection.offset_process.read(groups, stable=stable)
        return {group: {p: at.offset for p, at in positions.items()} for group, positions in found.items()}

    def acls(self) -> frozenset[Acl]:
        """Every binding; none where the cluster has no authorizer."""
        from confluent_kafka.admin import (
            AclBindingFilter,
            AclOperation,
            AclPermissionType,
            ResourcePatternType,
            ResourceType,
        )

        everything = AclBindingFilter(
            ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
        )
        try:
            found = self._wait("describe ACLs", self._admin.describe_acls(everything, request_timeout=self._timeout))
        except RefusedError as error:
            if has_code(error, ("SECURITY_DISABLED",)):
                return frozenset()
            raise
        return frozenset(to_acl(binding) for binding in found)

    def read(self, ranges: Sequence[ReadRange], *, committed: bool = True) -> Iterator[Record]:
        """Data records within the ranges."""
        wanted = Wanted(ranges)
        within = self._within_logs(ranges, committed=committed)
        for partition, offsets, messages in RangeReader(self._connection, within, committed=committed).messages():
            for offset, message in zip(offsets, messages, strict=True):
                if wanted.holds(partition, offset):
                    yield to_record(message)

    def data_offsets(self, ranges: Sequence[ReadRange]) -> Mapping[TopicPartition, Sequence[int]]:
        """Offsets of committed data records within the ranges."""
        wanted = Wanted(ranges)
        # Eight bytes each: they may be millions.
        found = {one.partition: array("q") for one in ranges}
        within = self._within_logs(ranges, committed=True)
        for partition, offsets, _ in RangeReader(self._connection, within, committed=True).messages():
            # Ten times as fast as to extend an array by a list.
            found[partition].frombytes(pack(f"{len(offsets)}q", *offsets))
        return {partition: wanted.among(partition, offsets) for partition, offsets in found.items()}

    def tail(self, topic: str) -> Tail:
        """Follow a topic from its start."""
        self._stable_logs(topic)
        return Tail(self._connection, topic, self._stable_logs)

    def _stable_logs(self, topic: str) -> dict[int, LogRange]:
        found = self.describe_topics([topic]).get(topic)
        if found is None:
            raise RefusedError(f"{self.region} has no topic {topic}")
        logs = self.log_ranges(found.topic_partitions)
        return {p.partition: log for p, log in logs.items() if log.stable_end > log.start}

    def _own_configs(self, future: Any) -> dict[str, str]:
        from confluent_kafka.admin import ConfigSource

        entries = self._wait("describe topic configs", future)
        own = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
        return {name: entry.value for name, entry in entries.items() if entry.source == own}

    @property
    def _admin(self) -> Any:
        return self._connection.admin

    @property
    def _timeout(self) -> float:
        return self._connection.timeout_seconds

    def _wait(self, what: str, future: Any) -> Any:
        return self._connection.wait(what, future)
