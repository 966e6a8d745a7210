"""Committed offsets of groups, as confluent-kafka reads and writes them; every partition's own answer is looked at."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any, Final

from drkit.adapters.kafka.client import AGAIN_SECONDS, MOVES, Connection
from drkit.adapters.kafka.failures import UNSTABLE, is_one_of, translated
from drkit.domain.kafka import TopicPartition
from drkit.errors import RefusedError
from drkit.ports import PartitionFailure

HAS_MEMBERS: Final = ("UNKNOWN_MEMBER_ID", "NON_EMPTY_GROUP", "ILLEGAL_GENERATION", "REBALANCE_IN_PROGRESS")
"""How a coordinator refuses what may only be done to a group without members."""
_UNSTABLE_SECONDS: Final = 0.02


def committed_positions(
    connection: Connection, groups: Collection[str], *, stable: bool = False
) -> dict[str, Sequence[Any]]:
    """Per group its committed offsets as ``confluent_kafka.TopicPartition``; one request each, all in flight at once.

    ``stable``: as ``KafkaReader.committed_offsets``.
    """
    asked = {group: _ask(connection, group, stable) for group in groups}
    return {group: _positions(connection, group, future, stable) for group, future in asked.items()}


def _ask(connection: Connection, group: str, stable: bool) -> Any:
    from confluent_kafka import ConsumerGroupTopicPartitions

    request = [ConsumerGroupTopicPartitions(group)]
    timeout = connection.timeout_seconds
    return connection.admin.list_consumer_group_offsets(request, require_stable=stable, request_timeout=timeout)[group]


def _positions(connection: Connection, group: str, future: Any, stable: bool) -> Sequence[Any]:
    from confluent_kafka import KafkaException

    def ask() -> Any:
        return _ask(connection, group, stable)

    deadline = time.monotonic() + connection.timeout_seconds
    while True:
        found = connection.wait(f"offsets of group {group}", future, ask).topic_partitions
        failed = next((position for position in found if position.error is not None), None)
        if failed is None:
            return [position for position in found if position.offset >= 0]
        if time.monotonic() > deadline or not is_one_of(failed.error, UNSTABLE):
            what = f"offset of group {group} on {failed.topic}-{failed.partition}"
            raise translated(KafkaException(failed.error), what, connection.region)
        # librdkafka asks again by itself for many codes, but not for one that a single partition has.
        time.sleep(_UNSTABLE_SECONDS)
        future = ask()


def commit_for(connection: Connection, group: str, positions: Sequence[Any]) -> Sequence[PartitionFailure]:
    """Commit ``confluent_kafka.TopicPartition`` values for a group without members; as ``alter_group_offsets``."""
    from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException

    if not positions:
        return ()
    request = ConsumerGroupTopicPartitions(group, list(positions))
    timeout = connection.timeout_seconds

    def ask() -> Any:
        return connection.admin.alter_consumer_group_offsets([request], request_timeout=timeout)[group]

    deadline = time.monotonic() + timeout
    while True:
        answer = connection.wait(f"offsets of group {group}", ask(), ask).topic_partitions
        failed = [(TopicPartition(p.topic, p.partition), p.error) for p in answer if p.error is not None]
        # The broker answers per partition, also where it is the group that it refuses.
        for _, error in failed:
            if is_one_of(error, HAS_MEMBERS):
                raise has_members(group, connection.region)
            if is_one_of(error, ("GROUP_AUTHORIZATION_FAILED",)):
                raise translated(KafkaException(error), f"offsets of group {group}", connection.region)
        if time.monotonic() > deadline or not any(is_one_of(error, MOVES) for _, error in failed):
            return [PartitionFailure(partition, error.str()) for partition, error in failed]
        # As with positions: a coordinator that a cluster's first commit has made loads its partition.
        time.sleep(AGAIN_SECONDS)


def has_members(group: str, region: str) -> RefusedError:
    """The refusal for a group that somebody is in."""
    return RefusedError(
        f"group {group} has members at {region}: its offsets cannot be set",
        hint="stop its consumers there, then run again",
    )
