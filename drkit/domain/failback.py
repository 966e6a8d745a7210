"""The way back: where the two sides part, what the old side alone has, and the steps in order.

Words: the *old* side is the primary before the failover and the target of the way back; the *new* side is the primary
now. Per partition, ``D`` is the first offset of the new side that was not mirrored from the old one::

    old side   ........ L | orphans ....              L: last mirrored offset
    new side   .............. D-1 | D written since   D: the log end at the cut

The reverse mirror starts at ``D``, so that it carries the difference and nothing else. Orphans are the trouble: Kafka
cannot cut the end off a log (DeleteRecords cuts the beginning), so they would stay in front of the difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final

from drkit.domain.kafka import LogRange, TopicPartition
from drkit.domain.lag import Amount, AtMost, Estimated, Exactly, NotKnown, total
from drkit.domain.lineage import Cut
from drkit.domain.mirror_flow import Flow


class Divergence(StrEnum):
    """``clean``: the old side has nothing of its own. ``unknown``: that cannot be told until it answers."""

    CLEAN = "clean"
    DIRTY = "dirty"
    UNKNOWN = "unknown"


class Way(StrEnum):
    """How a topic goes back: the difference alone, all of it into a new topic, or not yet decided."""

    DELTA = "delta"
    REBUILD = "rebuild"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class PartitionDivergence:
    """One partition of both sides.

    ``diverges_at``: D. ``last_mirrored``: L, None if nothing was mirrored. ``old_end``: log end of the old side when
    it was last seen. ``orphans``: data records of the old side above L. ``is_absent``: the old side answers and has no
    such partition.
    """

    partition: TopicPartition
    diverges_at: int
    last_mirrored: int | None
    old_end: int | None
    orphans: Amount
    is_absent: bool = False

    @property
    def divergence(self) -> Divergence:
        """Whether the old side has records of its own; a number that is only bounded counts as some."""
        match self.orphans:
            case Exactly(0) | AtMost(0):
                return Divergence.CLEAN
            case NotKnown() | Estimated():
                return Divergence.UNKNOWN
            case _:
                return Divergence.DIRTY

    @property
    def reverse_start(self) -> int | None:
        """What Connect's offsets must say: the offset *before* the first to be mirrored; None is the log's beginning.

        Source: ``MirrorSourceTask.initializeConsumer`` seeks to the stored offset plus one.
        """
        return self.diverges_at - 1 if self.diverges_at > 0 else None


@dataclass(frozen=True, slots=True)
class TopicReturn:
    """One topic, its partitions in order, and how it goes back."""

    topic: str
    partitions: tuple[PartitionDivergence, ...]

    @property
    def way(self) -> Way:
        """A single dirty or absent partition rebuilds the topic: partitions cannot be recreated one by one."""
        found = {partition.divergence for partition in self.partitions}
        if Divergence.DIRTY in found or any(partition.is_absent for partition in self.partitions):
            return Way.REBUILD
        return Way.UNDECIDED if Divergence.UNKNOWN in found else Way.DELTA


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A request to Kafka Connect's REST interface; ``path`` is relative to its URL."""

    method: str
    path: str
    body: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class FailbackStep:
    """One step: why, and what to run. Commands come before calls."""

    title: str
    reason: str
    commands: tuple[str, ...] = ()
    calls: tuple[ApiCall, ...] = ()
    connect_url: str = ""
    """Where the calls go."""


@dataclass(frozen=True, slots=True)
class FailbackPlan:
    """The whole way back of one run. ``reverse`` mirrors from the new side to the old one."""

    run_id: str
    planned_at: str
    mode: str
    reverse: Flow
    topics: tuple[TopicReturn, ...]
    steps: tuple[FailbackStep, ...]

    @property
    def partitions(self) -> tuple[PartitionDivergence, ...]:
        """Every partition, in order."""
        return tuple(partition for topic in self.topics for partition in topic.partitions)

    @property
    def orphans(self) -> Amount:
        """Summed over partitions."""
        return total(partition.orphans for partition in self.partitions)

    def count(self, divergence: Divergence) -> int:
        """How many partitions are so."""
        return sum(partition.divergence is divergence for partition in self.partitions)


_SILENT: Final = NotKnown("the old side does not answer")


@dataclass(frozen=True, slots=True)
class OldSide:
    """What the old side said: orphans and log ranges of those partitions of the cut that it has."""

    orphans: Mapping[TopicPartition, Amount]
    logs: Mapping[TopicPartition, LogRange]


def diverge(cut: Cut, old: OldSide | None) -> tuple[TopicReturn, ...]:
    """Every topic of the cut. ``old``: None while the old side does not answer."""
    partitions = []
    for partition, ends in sorted(cut.items()):
        log = old.logs.get(partition) if old else None
        is_absent = old is not None and log is None
        partitions.append(
            PartitionDivergence(
                partition=partition,
                diverges_at=ends.target_end,
                last_mirrored=ends.source_last,
                old_end=log.end if log else None if is_absent else ends.source_end,
                orphans=_SILENT if old is None else old.orphans.get(partition, Exactly(0)),
                is_absent=is_absent,
            )
        )
    return tuple(TopicReturn(topic, tuple(group)) for topic, group in groupby(partitions, lambda p: p.partition.topic))
