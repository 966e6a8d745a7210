"""confluent-kafka's listings and descriptions of groups as drkit's."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any, Final

from drkit.adapters.kafka.client import AGAIN_SECONDS, Connection
from drkit.adapters.kafka.failures import translated
from drkit.domain.inventory import CommittedPosition, GroupInventory, GroupMember, GroupType
from drkit.domain.kafka import GroupDescription, GroupState, TopicPartition
from drkit.errors import UnreachableError

_STATES: Final = {"EMPTY": GroupState.EMPTY, "DEAD": GroupState.DEAD, "UNKNOWN": GroupState.UNKNOWN}
_TYPES: Final = {"CLASSIC": GroupType.CLASSIC, "CONSUMER": GroupType.CONSUMER}


def listed_groups(connection: Connection) -> Mapping[str, Any]:
    """Every classic and consumer group as a ``ConsumerGroupListing``; one request per broker.

    One broker that does not answer has groups of its own, until it is out of service: others have them then.
    """
    from confluent_kafka import KafkaException

    def ask() -> Any:
        # Not the whole deadline: it would be spent on a broker that has just gone, and has its groups no more.
        return connection.admin.list_consumer_groups(request_timeout=connection.timeout_seconds / 2)

    deadline = time.monotonic() + connection.timeout_seconds
    while True:
        # librdkafka asks every broker that it knows of; metadata tells it which are in service.
        connection.metadata()
        listed = connection.wait("list groups", ask(), ask)
        if not listed.errors:
            return {group.group_id: group for group in listed.valid}
        failure = translated(KafkaException(listed.errors[0]), "list groups", connection.region)
        if not isinstance(failure, UnreachableError) or time.monotonic() + AGAIN_SECONDS > deadline:
            raise failure
        time.sleep(AGAIN_SECONDS)


def group_descriptions(connection: Connection, names: Collection[str]) -> Mapping[str, Any]:
    """These groups as ``ConsumerGroupDescription``; one request each, all in flight at once."""
    if not names:
        return {}

    def ask(some: Collection[str]) -> Mapping[str, Any]:
        admin, timeout = connection.admin, connection.timeout_seconds
        asked: Mapping[str, Any] = admin.describe_consumer_groups(sorted(some), request_timeout=timeout)
        return asked

    return connection.wait_each("describe group", ask(names), ask)


def is_empty_classic(listing: Any) -> bool:
    """Whether a ``ConsumerGroupListing`` is a classic group's without members."""
    return listing.type.name == "CLASSIC" and state_of(listing.state) is GroupState.EMPTY


def state_of(state: Any) -> GroupState:
    """A ``ConsumerGroupState`` as far as it matters."""
    return _STATES.get(state.name, GroupState.ACTIVE)


def described_group(found: Any) -> GroupDescription:
    """A ``ConsumerGroupDescription``."""
    members = tuple(f"{member.client_id} at {member.host}" for member in found.members)
    return GroupDescription(found.group_id, state_of(found.state), members)


def inventoried_group(found: Any, positions: Mapping[TopicPartition, CommittedPosition]) -> GroupInventory:
    """A ``ConsumerGroupDescription``, or the listing of a group without members, with the committed positions.

    Members and positions are sorted.
    """
    members = [GroupMember(member.client_id, member.host) for member in getattr(found, "members", ())]
    return GroupInventory(
        group=found.group_id,
        group_type=_TYPES.get(found.type.name, GroupType.UNKNOWN),
        state=state_of(found.state),
        assignor=getattr(found, "partition_assignor", "") or "",
        members=tuple(sorted(members, key=lambda member: (member.client_id, member.host))),
        positions={partition: positions[partition] for partition in sorted(positions)},
    )


def committed_position(position: Any) -> CommittedPosition:
    """What a ``confluent_kafka.TopicPartition`` holds. It has None for an empty metadata, and for no leader epoch."""
    return CommittedPosition(position.offset, position.leader_epoch, position.metadata or "")


def to_position(partition: TopicPartition, position: CommittedPosition) -> Any:
    """A value as what is committed; -1 is the wire's own word for no leader epoch (KIP-320)."""
    from confluent_kafka import TopicPartition as Position

    epoch = -1 if position.leader_epoch is None else position.leader_epoch
    return Position(partition.topic, partition.partition, position.offset, position.metadata, epoch)
