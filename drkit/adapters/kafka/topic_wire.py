"""confluent-kafka's descriptions of topics as drkit's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drkit.domain.kafka import PartitionDescription, TopicDescription

_TO_URL_SAFE = str.maketrans("+/", "-_")


def from_metadata(topic: Any) -> TopicDescription:
    """A topic of a metadata answer: without id and configs."""
    partitions = tuple(
        PartitionDescription(number, p.leader if p.leader >= 0 else None, tuple(p.replicas), tuple(p.isrs))
        for number, p in sorted(topic.partitions.items())
    )
    return TopicDescription(topic.topic, "", partitions)


def described_topic(topic: Any, configs: Mapping[str, str]) -> TopicDescription:
    """A topic that was described, with its non-default configs."""
    partitions = tuple(
        PartitionDescription(
            p.id, p.leader.id if p.leader else None, tuple(n.id for n in p.replicas), tuple(n.id for n in p.isr)
        )
        for p in sorted(topic.partitions, key=lambda p: p.id)
    )
    return TopicDescription(topic.name, topic_id(topic.topic_id), partitions, configs)


def topic_id(found: Any) -> str:
    """A topic's id as Kafka's own tools print it (``Uuid.toString``): 22 characters that may stand in a path.

    librdkafka prints the alphabet with ``+`` and ``/`` instead.
    """
    return str(found).translate(_TO_URL_SAFE)
