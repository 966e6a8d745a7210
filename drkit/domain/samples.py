"""What was seen of the source around a position, kept for the time when the source is gone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from drkit.domain.digests import Fingerprint
from drkit.domain.kafka import TopicPartition


@dataclass(frozen=True, slots=True)
class PositionSample:
    """The records at a committed offset of the source.

    ``at_ms``: when it was taken, ms since the epoch. ``first``: the first data record at or after ``upstream``, None
    if the log ended there. ``before``: the last data record before it, None if there was none.
    """

    partition: TopicPartition
    upstream: int
    at_ms: int
    first: Fingerprint | None
    before: Fingerprint | None


SampleProvider = Callable[[Collection[tuple[TopicPartition, int]]], Mapping[tuple[TopicPartition, int], PositionSample]]
"""Samples of the source's positions, for those of the asked ones that there are any of."""
