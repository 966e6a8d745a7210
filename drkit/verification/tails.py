"""The last N data records below an end, although transaction markers and aborted records inflate offsets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from drkit.domain.kafka import Record, TopicPartition
from drkit.ports import KafkaReader, ReadRange

Item = TypeVar("Item")

_WIDEST = 64
"""How many offsets per wanted record are searched at most: a log with fewer data than that is not read to its start."""


@dataclass(frozen=True, slots=True)
class Tail(Generic[Item]):
    """The last data records below ``end``, oldest first; ``low`` is where the reading began.

    ``reached_start``: there is nothing older in the log. ``end`` is below the one asked for where an open transaction
    hides what is above it.
    """

    items: tuple[Item, ...]
    low: int
    end: int
    reached_start: bool


@dataclass(slots=True)
class _Search(Generic[Item]):
    start: int
    end: int
    low: int
    found: list[Item] = field(default_factory=list)

    def is_over(self, count: int) -> bool:
        return len(self.found) >= count or self.low <= self.start or self.end - self.low >= _WIDEST * count

    def next_low(self, count: int) -> int:
        # A little more than asked for, for the markers; then twice as wide each time.
        width = 2 * (self.end - self.low) if self.low < self.end else count + count // 8 + 8
        return max(self.start, self.end - width)


def read_tails(
    reader: KafkaReader, ends: Mapping[TopicPartition, int], count: int, convert: Callable[[Record], Item]
) -> Mapping[TopicPartition, Tail[Item]]:
    """The last ``count`` committed records below each end, each turned into what is kept of it.

    All partitions are read in one call; those with too few data records are widened, reading nothing twice.
    Raises what ``KafkaReader.log_ranges`` and ``read`` raise.
    """
    logs = reader.log_ranges(ends)
    searches: dict[TopicPartition, _Search[Item]] = {}
    for partition, end in ends.items():
        log = logs[partition]
        stable = min(end, log.stable_end)
        searches[partition] = _Search(min(log.start, stable), stable, stable)
    while pending := [partition for partition, search in searches.items() if not search.is_over(count)]:
        ranges = [ReadRange(p, searches[p].next_low(count), searches[p].low) for p in pending]
        newer = {partition: searches[partition].found for partition in pending}
        for one in ranges:
            searches[one.partition].low = one.start
            searches[one.partition].found = []
        for record in reader.read(ranges):
            searches[record.partition].found.append(convert(record))
        for partition in pending:
            searches[partition].found.extend(newer[partition])
    return {
        partition: Tail(
            items=tuple(search.found[-count:]) if count else (),
            low=search.low,
            end=search.end,
            reached_start=search.low <= search.start and len(search.found) <= count,
        )
        for partition, search in searches.items()
    }
