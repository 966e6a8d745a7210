"""Per-partition figures as JSON: ``{topic: {partition: value}}``, the shape of evidence and snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from drkit.domain.kafka import TopicPartition

Value = TypeVar("Value")

Tree = dict[str, dict[str, Value]]


def to_tree(values: Mapping[TopicPartition, Value]) -> Tree[Value]:
    """Nest by topic and partition number (a string, as JSON has it)."""
    tree: Tree[Value] = {}
    for partition, value in sorted(values.items(), key=lambda item: item[0]):
        tree.setdefault(partition.topic, {})[str(partition.partition)] = value
    return tree


def from_tree(tree: Mapping[str, Mapping[str, Any]]) -> dict[TopicPartition, Any]:
    """The inverse of ``to_tree``. ValueError on a partition that is no number."""
    return {
        TopicPartition(topic, int(number)): value
        for topic, partitions in tree.items()
        for number, value in partitions.items()
    }
