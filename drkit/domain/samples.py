"""What was seen of the source, kept for the time when the source is gone: groups' positions, and the records there."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from drkit.domain.kafka import GroupOffsets, TopicPartition
from drkit.domain.log_samples import LogSamples


class Mark(Protocol):
    """A record as it can be found again: ``drkit.domain.digests.Fingerprint`` is one."""

    @property
    def offset(self) -> int:
        """Its offset."""

    @property
    def digest(self) -> bytes:
        """The digest of key, value, headers and timestamp."""


class RecordMark(NamedTuple):
    """A record's offset and digest, and nothing else of it."""

    offset: int
    digest: bytes


class Alone(NamedTuple):
    """Source offsets, ``end`` excluded, among which no other record has a record's digest."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class PositionSample:
    """The records at a committed offset of the source.

    ``at_ms``: when it was taken, ms since the epoch. ``first``: the first data record at or after ``upstream``, None
    if the log ended there. ``before``: the last data record before it, None if none was near. ``alone``: where
    ``first`` was seen to be unlike every other record; None if nobody looked.
    """

    partition: TopicPartition
    upstream: int
    at_ms: int
    first: Mark | None = None
    before: Mark | None = None
    alone: Alone | None = None

    def joined(self, later: PositionSample | None) -> PositionSample:
        """This sample with what a later one of the same position adds.

        The first record stays the one that was seen first: retention may have deleted it since.
        """
        if later is None:
            return self
        if self.first is None:
            return replace(later, at_ms=self.at_ms)
        if later.first != self.first or later.alone is None:
            return self
        ours, theirs = self.alone or later.alone, later.alone
        return replace(self, alone=Alone(min(ours.start, theirs.start), max(ours.end, theirs.end)))


def alone_among(records: Sequence[Mark], one: Mark, within: Alone) -> Alone:
    """Where the record is alone. ``records``: all committed ones within these offsets, in order, itself among them."""
    alike = [other.offset for other in records if other.digest == one.digest]
    at = bisect_left(alike, one.offset)
    start = max(within.start, alike[at - 1] + 1) if at else within.start
    return Alone(start, min(within.end, alike[at + 1]) if at + 1 < len(alike) else within.end)


Samples = Mapping[tuple[TopicPartition, int], PositionSample]
"""By partition and committed offset."""
SampleProvider = Callable[[Collection[tuple[TopicPartition, int]]], Samples]
"""Samples of the source's positions, for those of the asked ones that there are any of."""

GroupSamples = Mapping[str, Mapping[TopicPartition, PositionSample]]


@dataclass(frozen=True, slots=True)
class KnownPositions:
    """Every group's position on one cluster, and every log's end, as of one moment.

    ``as_of_ms``: all of them were read after it, ms since the epoch; a sample's own ``at_ms`` is when its position, or
    its end, was seen first. ``topic_ids``: the topics' ids then (KIP-516).
    """

    as_of_ms: int
    groups: GroupSamples
    topic_ids: Mapping[str, str] = field(default_factory=dict)
    logs: LogSamples = field(default_factory=dict)

    @property
    def committed(self) -> GroupOffsets:
        """The committed offsets."""
        return {group: {p: one.upstream for p, one in samples.items()} for group, samples in self.groups.items()}

    def samples(self, positions: Collection[tuple[TopicPartition, int]]) -> Samples:
        """A ``SampleProvider``: what is known of these positions, whichever group was there."""
        wanted = frozenset(positions)
        return {
            (p, one.upstream): one
            for samples in self.groups.values()
            for p, one in samples.items()
            if (p, one.upstream) in wanted and (one.first is not None or one.before is not None)
        }
