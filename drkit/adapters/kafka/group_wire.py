"""confluent-kafka's descriptions of groups as drkit's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from drkit.domain.inventory import CommittedPosition, GroupInventory, GroupMember, GroupType
from drkit.domain.kafka import GroupDescription, GroupState, TopicPartition

_STATES: Final = {"EMPTY": GroupState.EMPTY, "DEAD": GroupState.DEAD, "UNKNOWN": GroupState.UNKNOWN}
_TYPES: Final = {"CLASSIC": GroupType.CLASSIC, "CONSUMER": GroupType.CONSUMER}


def state_of(state: Any) -> GroupState:
    """A ``ConsumerGroupState`` as far as it matters."""
    return _STATES.get(state.name, GroupState.ACTIVE)


def described_group(found: Any) -> GroupDescription:
    """A ``ConsumerGroupDescription``."""
    members = tuple(f"{member.client_id} at {member.host}" for member in found.members)
    return GroupDescription(found.group_id, state_of(found.state), members)


def inventoried_group(found: Any, positions: Iterable[Any]) -> GroupInventory:
    """A ``ConsumerGroupDescription`` with the group's committed positions. Members and positions are sorted."""
    members = [GroupMember(member.client_id, member.host) for member in found.members]
    placed = {TopicPartition(p.topic, p.partition): committed_position(p) for p in positions}
    return GroupInventory(
        group=found.group_id,
        group_type=_TYPES.get(found.type.name, GroupType.UNKNOWN),
        state=state_of(found.state),
        assignor=found.partition_assignor or "",
        members=tuple(sorted(members, key=lambda member: (member.client_id, member.host))),
        positions={partition: placed[partition] for partition in sorted(placed)},
    )


def committed_position(position: Any) -> CommittedPosition:
    """What a ``confluent_kafka.TopicPartition`` holds. It has None for an empty metadata, and for no leader epoch."""
    return CommittedPosition(position.offset, position.leader_epoch, position.metadata or "")


def to_position(partition: TopicPartition, position: CommittedPosition) -> Any:
    """A value as what is committed; -1 is the wire's own word for no leader epoch (KIP-320)."""
    from confluent_kafka import TopicPartition as Position

    epoch = -1 if position.leader_epoch is None else position.leader_epoch
    return Position(partition.topic, partition.partition, position.offset, position.metadata, epoch)
