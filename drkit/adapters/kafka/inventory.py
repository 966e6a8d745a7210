"""``InventoryReader`` and ``InventoryWriter`` on confluent-kafka.

Client quotas are not covered: librdkafka has no call for them (``DescribeClientQuotas``, KIP-546), so neither a backup
nor a restore knows of any.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from drkit.adapters.kafka.client import Connection
from drkit.adapters.kafka.failures import has_code
from drkit.adapters.kafka.group_offsets import commit_for
from drkit.adapters.kafka.group_wire import (
    group_descriptions,
    inventoried_group,
    is_empty_classic,
    listed_groups,
    to_position,
)
from drkit.adapters.kafka.list_offsets import ask_offsets
from drkit.domain.inventory import CommittedPosition, GroupInventory, ScramUser
from drkit.domain.kafka import GroupState, TopicPartition
from drkit.errors import AuthError, RefusedError
from drkit.ports import LogTimes, PartitionFailure

_UNSUPPORTED: Final = ("_UNSUPPORTED_FEATURE", "UNSUPPORTED_VERSION")


class ConfluentInventory:
    """One cluster, for backups and restores."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def scram_users(self) -> Mapping[str, ScramUser]:
        """Every SCRAM user with its mechanisms."""
        self._require_describe()
        asked = self._admin.describe_user_scram_credentials(request_timeout=self._timeout)
        try:
            found = self._connection.wait("describe SCRAM users", asked)
        except RefusedError as error:
            if has_code(error, _UNSUPPORTED):
                raise RefusedError(
                    f"{self._connection.region} does not tell its SCRAM users: its brokers lack that call (KIP-554)",
                    hint="leave users out of this cluster's backups",
                ) from error
            raise
        return {name: ScramUser(name, _mechanisms(found[name])) for name in sorted(found)}

    def _require_describe(self) -> None:
        """Raise ``AuthError`` where drkit may not describe the cluster.

        Brokers ask for that right (``Describe`` on ``Cluster``) before they tell their users. librdkafka (2.16.0) must
        never see them refuse: it frees the error's text, which it has not allocated, and the process is aborted.
        """
        from confluent_kafka.admin import AclOperation

        # Not without brokers in service: that call then ends the process, too.
        self._connection.metadata()
        asked = self._admin.describe_cluster(include_authorized_operations=True, request_timeout=self._timeout)
        allowed = self._connection.wait("describe cluster", asked).authorized_operations or ()
        if AclOperation.DESCRIBE not in allowed:
            raise AuthError(
                f"{self._connection.region} does not tell drkit its SCRAM users",
                hint="allow drkit's principal the operation Describe on the cluster",
            )

    def group_inventory(self, groups: Collection[str] | None = None) -> Mapping[str, GroupInventory]:
        """Groups with members and positions: at most two requests per group, all in flight at once."""
        listed = listed_groups(self._connection)
        names = sorted(listed if groups is None else set(groups))
        # There is nothing more to tell of an empty classic group, and a cluster may have very many of them.
        empty = {name for name in names if name in listed and is_empty_classic(listed[name])}
        positions = self._connection.offset_process.read(names)
        described = group_descriptions(self._connection, [name for name in names if name not in empty])
        found = {
            name: inventoried_group(listed[name] if name in empty else described[name], positions[name])
            for name in names
        }
        return {name: group for name, group in found.items() if group.state is not GroupState.DEAD}

    def log_times(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, LogTimes]:
        """Oldest and newest timestamps: two requests per broker, whatever the number of partitions."""
        from confluent_kafka import IsolationLevel
        from confluent_kafka.admin import OffsetSpec

        if not partitions:
            return {}
        uncommitted = IsolationLevel.READ_UNCOMMITTED
        asked = (
            ask_offsets(self._connection, partitions, OffsetSpec.for_timestamp(0), uncommitted),
            ask_offsets(self._connection, partitions, OffsetSpec.max_timestamp(), uncommitted),
        )
        oldest, newest = (answers() for answers in asked)
        return {p: _times(oldest[p], newest[p]) for p in partitions}

    def add_partitions(self, topic: str, total: int) -> None:
        """Give a topic this many partitions."""
        from confluent_kafka.admin import NewPartitions

        asked = self._admin.create_partitions([NewPartitions(topic, total)], request_timeout=self._timeout)
        self._connection.wait(f"partitions of {topic}", asked[topic])

    def commit_positions(
        self, group: str, positions: Mapping[TopicPartition, CommittedPosition]
    ) -> Sequence[PartitionFailure]:
        """Commit for a group without members, with metadata and leader epoch."""
        return commit_for(self._connection, group, [to_position(p, found) for p, found in positions.items()])

    @property
    def _admin(self) -> Any:
        return self._connection.admin

    @property
    def _timeout(self) -> float:
        return self._connection.timeout_seconds


def _mechanisms(described: Any) -> dict[str, int]:
    found = {info.mechanism.name.replace("_", "-"): info.iterations for info in described.scram_credential_infos}
    return {name: found[name] for name in sorted(found)}


def _times(first: Any, newest: Any) -> LogTimes:
    # A broker still names the newest record when DeleteRecords has removed it: it lies before the first one then.
    is_there = 0 <= first.offset <= newest.offset
    return LogTimes(_timestamp_ms(first), _timestamp_ms(newest) if is_there else None)


def _timestamp_ms(found: Any) -> int | None:
    return found.timestamp if found.offset >= 0 and found.timestamp >= 0 else None
