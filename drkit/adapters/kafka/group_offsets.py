"""Committed offsets of groups, as confluent-kafka reads and writes them; every partition's own answer is looked at."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from drkit.adapters.kafka.client import AGAIN_SECONDS, MOVES, Connection
from drkit.adapters.kafka.failures import UNSTABLE, is_one_of, translated
from drkit.adapters.kafka.group_wire import committed_position
from drkit.adapters.kafka.list_offsets import ask_offsets
from drkit.adapters.kafka.offset_process import Positions, restless
from drkit.domain.inventory import CommittedPosition
from drkit.domain.kafka import TopicPartition
from drkit.errors import RefusedError
from drkit.ports import PartitionFailure

HAS_MEMBERS: Final = ("UNKNOWN_MEMBER_ID", "NON_EMPTY_GROUP", "ILLEGAL_GENERATION", "REBALANCE_IN_PROGRESS")
"""How a coordinator refuses what may only be done to a group without members."""
_UNHEARD_OF: Final = ("UNKNOWN_TOPIC_OR_PART",)
_NEWS_SECONDS: Final = 2.0
"""A coordinator may learn of a topic that was just made later than the broker that was asked for it."""
_OFFSETS_TOPIC: Final = "__consumer_offsets"
_UNSTABLE_SECONDS: Final = 0.02


def read_positions(connection: Connection, groups: Collection[str], *, stable: bool) -> Positions:
    """Per group what it has committed; one request each, all in flight at once. In a process that may end.

    ``stable``: as ``KafkaReader.committed_offsets``; read again as long as coordinators move meanwhile.
    """
    if not stable:
        return _read(connection, groups, stable=False)
    deadline = time.monotonic() + connection.timeout_seconds
    while True:
        before = _coordinator_epochs(connection)
        found = _read(connection, groups, stable=True)
        if _coordinator_epochs(connection) == before:
            return found
        if time.monotonic() > deadline:
            raise restless(connection.region)


def _coordinator_epochs(connection: Connection) -> Mapping[TopicPartition, int | None]:
    """The epoch of each coordinator, once it answers with everything that was ever committed.

    A coordinator that takes over answers, without an error, from what it knows to be replicated, and learns of the last
    commits up to half a second later (``replica.fetch.wait.max.ms``); its log's end is not told before that (KIP-207).
    Nothing is known of it where drkit may not describe the topic.
    """
    from confluent_kafka import IsolationLevel
    from confluent_kafka.admin import OffsetSpec

    topic = connection.metadata().topics.get(_OFFSETS_TOPIC)
    if topic is None or topic.error is not None:
        return {}
    partitions = [TopicPartition(_OFFSETS_TOPIC, number) for number in topic.partitions]
    ends = ask_offsets(connection, partitions, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)()
    return {partition: end.leader_epoch for partition, end in ends.items()}


def _read(connection: Connection, groups: Collection[str], *, stable: bool) -> Positions:
    asked = {group: _ask(connection, group, stable) for group in groups}
    return {group: _positions(connection, group, future, stable) for group, future in asked.items()}


def _ask(connection: Connection, group: str, stable: bool) -> Any:
    from confluent_kafka import ConsumerGroupTopicPartitions

    request = [ConsumerGroupTopicPartitions(group)]
    timeout = connection.timeout_seconds
    return connection.admin.list_consumer_group_offsets(request, require_stable=stable, request_timeout=timeout)[group]


def _positions(
    connection: Connection, group: str, future: Any, stable: bool
) -> Mapping[TopicPartition, CommittedPosition]:
    from confluent_kafka import KafkaException

    def ask() -> Any:
        return _ask(connection, group, stable)

    deadline = time.monotonic() + connection.timeout_seconds
    while True:
        found = connection.wait(f"offsets of group {group}", future, ask).topic_partitions
        failed = next((position for position in found if position.error is not None), None)
        if failed is None:
            return {TopicPartition(p.topic, p.partition): committed_position(p) for p in found if p.offset >= 0}
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

    started = time.monotonic()
    while True:
        asked, admin = ask(), connection.admin
        answer = connection.wait(f"offsets of group {group}", asked, ask).topic_partitions
        failed = [(TopicPartition(p.topic, p.partition), p.error) for p in answer if p.error is not None]
        # The broker answers per partition, also where it is the group that it refuses.
        for _, error in failed:
            if is_one_of(error, HAS_MEMBERS):
                raise has_members(group, connection.region)
            if is_one_of(error, ("GROUP_AUTHORIZATION_FAILED",)):
                raise translated(KafkaException(error), f"offsets of group {group}", connection.region)
        passed = time.monotonic() - started
        passing = (MOVES if passed <= timeout else ()) + (_UNHEARD_OF if passed <= _NEWS_SECONDS else ())
        if not any(is_one_of(error, passing) for _, error in failed):
            return [PartitionFailure(partition, error.str()) for partition, error in failed]
        for _, error in failed:
            connection.forget_coordinator(error, admin)
        time.sleep(AGAIN_SECONDS)


def has_members(group: str, region: str) -> RefusedError:
    """The refusal for a group that somebody is in."""
    return RefusedError(
        f"group {group} has members at {region}: its offsets cannot be set",
        hint="stop its consumers there, then run again",
    )
