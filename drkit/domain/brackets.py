"""Between which target offsets a position lies, by the two points of the course around it, or by the last one alone.

What later intervals may repeat is not looked at here: that only raises the upper bound (``drkit.domain.offsets``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from drkit.domain.counting import count_between
from drkit.domain.course import Course
from drkit.domain.verdicts import Range

RETENTION: Final = "the target's retention has deleted records below, which the group may not have read"
REPEATED: Final = "records may have been copied more than once here"
_AT_WORK: Final = "after the last offset sync, and the mirror may still be at work"


def between(
    course: Course,
    place: int,
    upstream: int,
    records: Sequence[int],
    source: Sequence[int] | None,
    log_start: int,
) -> Range:
    """Of a position above the point ``place``, and at or below the next one.

    ``records``, ``source``: as for ``count_between``. ``log_start``: the target's first retained offset.
    """
    (s1, s2), (d1, d2) = course.up[place : place + 2], course.down[place : place + 2]
    is_suspect = course.is_suspect(place)
    if course.is_linear(place) and (is_suspect or s2 - s1 == d2 - d1):
        at = d1 + upstream - s1
        return Range(at, at, 0, "counted on a source without holes")
    if is_suspect or d2 < log_start:
        return Range(d1 + 1, d1 + 1, 0, REPEATED if is_suspect else RETENTION)
    if upstream == s1 + 1:
        return Range(d1 + 1, d1 + 1, 0, _next_reason(place))
    return count_between((s1, d1), (s2, d2), upstream, records, source, log_start)


def after_last(course: Course, upstream: int, end: int, *, is_complete: bool) -> Range:
    """Of a position above the last point. ``end``: the target's log end. ``is_complete``: nothing was copied after."""
    last = len(course.up) - 1
    after, skipped = course.down[last] + 1, upstream - course.up[last] - 1
    if is_complete:
        return Range(after, after, 0, "the target holds no copy of it or of what follows")
    # What has not arrived yet would be read again if the mirror went on.
    later = max(0, upstream - course.reached - 1)
    if course.is_linear(last):
        at = min(after + skipped, end)
        later = min(later, after + skipped - at)
        return Range(at, at, later, _AT_WORK if later else "counted on from the last offset sync")
    if skipped == 0:
        return Range(after, after, 0, _next_reason(last))
    if course.is_suspect(last):
        return Range(after, end, end - after + later, REPEATED)
    return Range(after, end, skipped, _AT_WORK)


def _next_reason(place: int) -> str:
    return "the record after an offset sync" if place else "from the first record on"
