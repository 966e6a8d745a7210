"""How many of the copies between two points lie before a position, if every record was copied once."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from drkit.domain.verdicts import Range

FOREIGN = "somebody else wrote, or copies repeat"


def count_between(
    before: tuple[int, int],
    after: tuple[int, int],
    upstream: int,
    records: Sequence[int],
    source: Sequence[int] | None,
    log_start: int,
) -> Range:
    """Where the first record at or above ``upstream`` is, between two points (upstream, downstream).

    ``records``: sorted offsets of the target's data records, at least of those between. ``source``: the same of the
    source, if it is alive.
    """
    (s1, d1), (s2, d2) = before, after
    first, gap = bisect_left(records, max(d1 + 1, log_start)), s2 - s1 - 1
    count = bisect_left(records, d2) - first
    if count > gap:
        return Range(d1 + 1, d2, count, "the target holds more records here than the source had: " + FOREIGN)
    low, high = max(0, count - (s2 - upstream)), min(count, upstream - s1 - 1)

    def at(number: int) -> int:
        return records[first + number] if number < count else d2

    if low == 0 and d1 + 1 < log_start:
        return Range(d1 + 1, at(high), high, "counted between two offset syncs")
    if low == high:
        is_first = s1 < 0 and count == 0
        reason = "before the first mirrored record" if is_first else "counted between two offset syncs"
        return Range(at(low), at(low), 0, reason)
    if source is not None and bisect_left(source, s2) - (begun := bisect_right(source, s1)) == count:
        here = at(bisect_left(source, upstream) - begun)
        return Range(here, here, 0, "counted on both sides")
    reason = f"{gap - count} source offsets without a copy lie between two offset syncs"
    return Range(at(low), at(high), high - low, reason)
