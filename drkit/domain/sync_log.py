"""The offset-syncs topic as a log: which of its records are known, and where some are missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from drkit.domain.kafka import TopicPartition
from drkit.domain.mm2_records import OffsetSync


class LoggedSync(NamedTuple):
    """An offset sync with its record's offset in the offset-syncs topic and its time (ms since the epoch)."""

    record_offset: int
    at_ms: int
    sync: OffsetSync


def is_whole(syncs: Sequence[LoggedSync]) -> bool:
    """Whether nothing is missing from the topic's first record on.

    MM2 writes the topic without transactions, so that only compaction (or a deletion) leaves gaps.
    """
    return not syncs or syncs[-1].record_offset - len(syncs) + 1 == 0


def unbroken(syncs: Sequence[LoggedSync]) -> Iterator[Sequence[LoggedSync]]:
    """The same in pieces, within which no record of the topic is missing; none of them empty."""
    begin = 0
    # Almost always there is one piece: a look at its ends tells.
    while begin < len(syncs):
        end = len(syncs)
        if syncs[-1].record_offset - syncs[begin].record_offset != end - begin - 1:
            end = next(
                at
                for at in range(begin + 1, end + 1)
                if at == end or syncs[at].record_offset != syncs[at - 1].record_offset + 1
            )
        yield syncs[begin:end]
        begin = end


def by_partition(syncs: Iterable[LoggedSync]) -> dict[TopicPartition, list[LoggedSync]]:
    """The syncs of each source partition, in order."""
    found: dict[TopicPartition, list[LoggedSync]] = {}
    for one in syncs:
        own = found.get(one.sync.partition)
        if own is None:
            found[one.sync.partition] = own = []
        own.append(one)
    return found


def joined(archived: Iterable[LoggedSync], read: Iterable[LoggedSync]) -> list[LoggedSync]:
    """Both together, each record once, in the order of the topic."""
    known = {one.record_offset: one for one in archived}
    known.update((one.record_offset, one) for one in read)
    return [known[offset] for offset in sorted(known)]
