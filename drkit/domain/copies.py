"""Which of several copies on the target that look like one record of the source are its copies.

It is known within which source offsets no other record looks like it (``Alone``), and, of each stretch of the target
between two points of the course, from which source offsets its copies are (``Course.copied_between``). Of a look-alike:

* its stretch holds no copies of the record's offset: it is another record;
* its stretch holds copies of offsets alone within which the record is alone: it is the record;
* every record was copied once there, in order: if the record is alone among those before it in the stretch, the first
  look-alike is the record, and if it is alone among those after it, the last one; one that has no other is the record;
* otherwise nobody knows.

All of it is about a record that was certainly mirrored.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from drkit.domain.course import Course
from drkit.domain.samples import Alone

_NO_END = 1 << 63
"""Above every offset."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Target offsets between two points, or of one point, and the source offsets of what was copied there.

    Ends are excluded. ``is_once``: every record was copied once there, in order, and without leaving one out.
    ``is_first``: before the first point, where nobody knows whether the flow left records out.
    """

    start: int
    end: int
    source_start: int
    source_end: int
    is_once: bool
    is_first: bool = False


@dataclass(slots=True)
class Copies:
    """``certain``: copies of the record. ``doubtful``: of it, or of one that looks the same. Both rise."""

    certain: list[int] = field(default_factory=list)
    doubtful: list[int] = field(default_factory=list)


def copies_among(
    course: Course, places: Sequence[int], request: tuple[int, int], offset: int, alone: Alone | None
) -> Copies:
    """What is known of each place. ``offset``: the record's on the source.

    ``places``: of every record within ``request`` (target offsets, end excluded) that looks like it, in order.
    """
    found = Copies()
    known = alone or Alone(offset, offset + 1)
    for stretch, alike in _by_stretch(course, places):
        if not stretch.source_start <= offset < stretch.source_end:
            continue
        certain = _certain(stretch, alike, request, known)
        found.certain += certain
        found.doubtful += [] if certain and stretch.is_once else [at for at in alike if at not in certain]
    return found


def to_be_known(course: Course, places: Sequence[int], offset: int) -> Alone | None:
    """Within which source offsets the record has to be alone for these places to be told; None if nobody knows."""
    start, end = offset, offset + 1
    for stretch, _ in _by_stretch(course, places):
        if not stretch.source_start <= offset < stretch.source_end:
            continue
        start = min(start, stretch.source_start)
        if stretch.source_end < _NO_END:
            end = max(end, stretch.source_end)
        elif not stretch.is_once or stretch.is_first:
            return None
    return Alone(start, end)


def _certain(stretch: Stretch, alike: Sequence[int], request: tuple[int, int], known: Alone) -> Sequence[int]:
    reaches_start, reaches_end = known.start <= stretch.source_start, known.end >= stretch.source_end
    if reaches_start and reaches_end:
        # Two of what was copied once: one of the two facts is none.
        return () if stretch.is_once and len(alike) > 1 else alike
    if not stretch.is_once or stretch.is_first:
        return ()
    # What was not read may hold the record itself.
    begins, ends = request[0] <= stretch.start, stretch.end <= request[1]
    if reaches_start and begins:
        return alike[:1]
    if reaches_end and ends:
        return alike[-1:]
    return alike if begins and ends and len(alike) == 1 else ()


def _by_stretch(course: Course, places: Sequence[int]) -> Iterator[tuple[Stretch, list[int]]]:
    def number(at: int) -> tuple[int, bool]:
        point = bisect_right(course.down, at) - 1
        return point, course.down[point] == at

    for (point, is_point), alike in groupby(places, key=number):
        yield _stretch(course, point, is_point=is_point), list(alike)


def _stretch(course: Course, point: int, *, is_point: bool) -> Stretch:
    down = course.down[point]
    if is_point:
        return Stretch(down, down + 1, course.up[point], course.up[point] + 1, is_once=True)
    start, end = course.copied_between(point)
    is_last = point + 1 == len(course.up)
    return Stretch(
        down + 1,
        down + course.size(point) + is_last,
        start,
        _NO_END if end is None else end,
        is_once=not course.is_suspect(point),
        is_first=point == 0,
    )
