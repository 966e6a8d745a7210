"""Which topics and groups belong to the service: MM2's filters, applied the way MM2 applies them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from drkit.domain.kafka import TopicDescription, TopicPartition


@dataclass(frozen=True)
class NameFilter:
    """Include and exclude patterns; a name is in scope if it fully matches an include and no exclude.

    Source: ``DefaultTopicFilter`` and ``DefaultGroupFilter`` of Kafka's ``connect/mirror``: each list becomes one
    alternation, matched against the whole name.
    """

    include: tuple[str, ...]
    exclude: tuple[str, ...] = ()

    def matches(self, name: str) -> bool:
        """Whether the name is in scope."""
        return bool(self._include.fullmatch(name)) and not self._exclude.fullmatch(name)

    def select(self, names: Iterable[str]) -> list[str]:
        """The names in scope, sorted."""
        return sorted(name for name in names if self.matches(name))

    @cached_property
    def _include(self) -> re.Pattern[str]:
        return _alternation(self.include)

    @cached_property
    def _exclude(self) -> re.Pattern[str]:
        return _alternation(self.exclude)


def _alternation(patterns: Sequence[str]) -> re.Pattern[str]:
    # An empty list matches nothing; "(?!)" is the pattern that never matches.
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns) or "(?!)")


def partitions_in_scope(topics: Iterable[TopicDescription], scope: NameFilter) -> tuple[TopicPartition, ...]:
    """Every partition of the topics that the filter takes, sorted."""
    return tuple(
        sorted(partition for topic in topics if scope.matches(topic.name) for partition in topic.topic_partitions)
    )
