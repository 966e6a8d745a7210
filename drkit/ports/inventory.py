"""What backups read of a Kafka cluster beyond ``KafkaReader``, and what restores write beyond ``KafkaWriter``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from drkit.domain.inventory import CommittedPosition, GroupInventory, ScramUser
from drkit.domain.kafka import TopicPartition
from drkit.ports.kafka import PartitionFailure


@dataclass(frozen=True, slots=True)
class LogTimes:
    """Timestamps of a log's first record and of the newest by timestamp, in ms; None where there is none.

    ``newest_ms`` is None also where it is not known: the newest record was removed by DeleteRecords.
    """

    oldest_ms: int | None
    newest_ms: int | None


class InventoryReader(Protocol):
    """One Kafka cluster, read for a backup, as drkit's identity."""

    def scram_users(self) -> Mapping[str, ScramUser]:
        """Every SCRAM user with its mechanisms, never its secrets (KIP-554).

        Raises ``RefusedError`` where the cluster does not have them, ``AuthError`` where drkit may not see them.
        """

    def group_inventory(self, groups: Collection[str] | None = None) -> Mapping[str, GroupInventory]:
        """These groups (None: all of the types classic and consumer), with members and positions.

        A group that does not exist is missing from the answer.
        """

    def log_times(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, LogTimes]:
        """Oldest and newest timestamp of each partition (``OffsetSpec.forTimestamp(0)`` and ``maxTimestamp``, KIP-734).

        Raises ``RefusedError`` where a partition does not exist, or has no leader.
        """


class InventoryWriter(Protocol):
    """What a restore changes on a cluster beyond ``KafkaWriter``."""

    def add_partitions(self, topic: str, total: int) -> None:
        """Give a topic this many partitions. Raises ``RefusedError`` where it has as many, or more."""

    def commit_positions(
        self, group: str, positions: Mapping[TopicPartition, CommittedPosition]
    ) -> Sequence[PartitionFailure]:
        """Commit for a group without members, with metadata and leader epoch; as ``KafkaWriter.alter_group_offsets``.

        Raises ``RefusedError`` when the group has members, ``AuthError`` when drkit may not commit for it.
        """
