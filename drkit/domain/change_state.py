"""Changes of a cluster held against the cluster: which are made already, which are not, and which cannot be any more.

The compare of a compare-and-set. Kafka sets a config whatever it was, and adds a binding that is there already, so
that it is drkit that has to look whether the world is still the one that a plan was made from.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import assert_never

from drkit.domain.change_text import change_text
from drkit.domain.kafka import Acl, TopicDescription
from drkit.domain.naming import printable
from drkit.domain.provisioning import AddPartitions, CreateAcl, CreateTopic, SetConfig

ClusterChange = CreateTopic | AddPartitions | SetConfig | CreateAcl
"""Changes of a cluster's topics and ACLs."""

Topics = Mapping[str, TopicDescription]


@dataclass(frozen=True, slots=True)
class Made:
    """The cluster has what the change makes."""


@dataclass(frozen=True, slots=True)
class Outstanding:
    """The cluster is as it was when the change was planned."""


@dataclass(frozen=True, slots=True)
class Stale:
    """The cluster is neither as it was nor as it was to become: making the change would overwrite somebody's work."""

    reason: str


Standing = Made | Outstanding | Stale


def standing(change: ClusterChange, topics: Topics, acls: Collection[Acl]) -> Standing:
    """How a change stands on a cluster that has these topics (with their own configs) and ACLs."""
    match change:
        case CreateTopic():
            return _created(change, topics.get(change.name))
        case AddPartitions():
            return _partitions(change, topics.get(change.topic))
        case SetConfig():
            return _config(change, topics.get(change.topic))
        case CreateAcl():
            return Made() if change.acl in acls else Outstanding()
        case _:
            assert_never(change)


def replication_factor(topic: TopicDescription) -> int:
    """Replicas of the partition that has the fewest."""
    return min((len(partition.replicas) for partition in topic.partitions), default=0)


def _created(change: CreateTopic, topic: TopicDescription | None) -> Standing:
    if topic is None:
        return Outstanding()
    differences = [
        f"{key} is {topic.configs.get(key, 'default')}, not {value}"
        for key, value in sorted(change.configs.items())
        if topic.configs.get(key) != value
    ]
    if len(topic.partitions) != change.partitions:
        differences.insert(0, f"it has {len(topic.partitions)} partitions, not {change.partitions}")
    elif replication_factor(topic) != change.replication_factor:
        differences.insert(0, f"it has {replication_factor(topic)} replicas, not {change.replication_factor}")
    if not differences:
        return Made()
    return Stale(f"{change_text(change)}: it is there already, and {printable('; '.join(differences))}")


def _partitions(change: AddPartitions, topic: TopicDescription | None) -> Standing:
    if topic is None:
        return _gone(change)
    found = len(topic.partitions)
    if found == change.after:
        return Made()
    return Outstanding() if found == change.before else Stale(f"{change_text(change)}: it has {found} partitions now")


def _config(change: SetConfig, topic: TopicDescription | None) -> Standing:
    if topic is None:
        return _gone(change)
    found = topic.configs.get(change.config)
    if found == change.after:
        return Made()
    if found == change.before:
        return Outstanding()
    return Stale(f"{change_text(change)}: it is {printable(found or 'the default')} now")


def _gone(change: AddPartitions | SetConfig) -> Stale:
    return Stale(f"{change_text(change)}: the topic is gone")
