"""The offset-syncs topic as a log: which of its records are known, and where some are missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

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


def joined(archived: Iterable[LoggedSync], read: Iterable[LoggedSync]) -> list[LoggedSync]:
    """Both together, each record once, in the order of the topic."""
    known = {one.record_offset: one for one in archived}
    known.update((one.record_offset, one) for one in read)
    return [known[offset] for offset in sorted(known)]
