"""Where a restarted mirror copied records again, the target shows by itself which copies are which.

A task copies in order, and a restarted one goes on at or below what had been copied. Where the source has no holes,
every record that is seen for the first time on the target is therefore the next offset of the source, counted from a
known pair, and every record seen before is a repeat. Records may be equal all the same, repeats may reach below what is
read, and there may be holes; so that the labelling is believed only where

* it agrees with every offset sync on the way, and so with the last pair: there are as many different records as source
  offsets from the first known pair to the last one;
* it goes on by one, or back, and never ahead;
* the record of the last pair was not there before: nothing beyond it was copied before it, that may look like another.

Two equal records make the first of these fail, repeats of what lies below the second one: they do not cancel. A hole
makes the last pair's own label too low, so that nobody need know beforehand that there is none. Before the first sync
of all there is no pair to begin with. Where as many different records as there are source offsets lie before a pair,
they are those offsets, from 0 on.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from drkit.domain.anchors import NO_COPY
from drkit.domain.course import Course
from drkit.domain.samples import Mark
from drkit.domain.verdicts import Exact

_REASON = "the target's own repeats, told apart by their records"


@dataclass(frozen=True, slots=True)
class Repeats:
    """A part of the course in which records may be repeated, from one known pair to another.

    ``points``: the pairs (upstream, downstream) of the part, in the order of the copies; the first one may be what is
    before the first copy of all (``NO_COPY`` upstream).
    """

    points: tuple[tuple[int, int], ...]

    @property
    def request(self) -> tuple[int, int]:
        """The target offsets (end excluded) whose records decide."""
        return self.points[0][1] + self._is_from_the_first, self.points[-1][1] + 1

    @property
    def _is_from_the_first(self) -> bool:
        return self.points[0][0] == NO_COPY

    def told_apart(self, target: Sequence[Mark]) -> Positions | None:
        """The positions of this part; None if the records do not show them. ``target``: the records of ``request``."""
        first, last = max(0, self.points[0][0]), self.points[-1][0]
        known = {down: up for up, down in self.points[self._is_from_the_first :]}
        labels: dict[bytes, int] = {}
        last_copies = array("q", [-1]) * (last - first + 1)
        before = first - 1
        for mark in target:
            label = labels.setdefault(mark.digest, first + len(labels))
            if label > min(before + 1, last) or known.pop(mark.offset, label) != label:
                return None
            last_copies[label - first] = mark.offset
            before = label
        # That the last pair's record has the last label also says that there are as many labels as offsets.
        if known or sum(mark.digest == target[-1].digest for mark in target) > 1:
            return None
        for at in range(len(last_copies) - 2, -1, -1):
            last_copies[at] = min(last_copies[at], last_copies[at + 1])
        return Positions(first, last_copies)


@dataclass(frozen=True, slots=True)
class Positions:
    """``f(u)`` for every source offset of a part: ``downstream[u - first]``."""

    first: int
    downstream: Sequence[int]

    def of(self, upstream: int) -> Exact:
        """Where a group continues that has committed this offset."""
        return Exact(self.downstream[upstream - self.first], _REASON)


def repeats_around(course: Course, upstream: int) -> Repeats | None:
    """The part of the course whose records decide about this offset; None where they cannot."""
    place = course.before(upstream)
    last_suspect = course.last_blurring(place, upstream)
    if last_suspect is None:
        return None
    begin = _begin(course, place)
    end = _end(course, begin, last_suspect)
    if end is None or not max(0, course.up[begin]) <= upstream <= course.up[end]:
        return None
    points = zip(course.up[begin : end + 1], course.down[begin : end + 1], strict=True)
    return Repeats(tuple(points))


def _begin(course: Course, place: int) -> int:
    """The point that no repeat after it reaches below, as far as can be told."""
    while True:
        lower = course.before(min(course.lowest_repeat(place), course.up[place]))
        if lower == 0 < place and course.down[1] - course.down[0] <= course.up[1]:
            # The mirror did not begin at 0: below the first sync there are no records, or the labelling shows them.
            lower = 1
        if lower >= place:
            return place
        place = lower


def _end(course: Course, begin: int, last_suspect: int) -> int | None:
    """The first point beyond everything that was copied before it, as far as can be told, or the last point."""
    end = last_suspect + 1
    if end >= len(course.up):
        return None
    while end + 1 < len(course.up) and course.up[end] <= course.furthest(begin, end):
        end += 1
    return end
