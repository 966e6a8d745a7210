"""How far a mirror has certainly got past whatever it had copied before a task started again.

In a suspect interval of ``size`` copies, at most ``size - 1`` records above its first point were copied before a start
in it. Once as many have been copied after it, in order, the mirror is past all of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate


class Progress:
    """``up`` and ``down``: the points of a course; ``begin``: where its last run begins; ``suspects``: intervals."""

    def __init__(
        self,
        up: Sequence[int],
        down: Sequence[int],
        begin: int,
        suspects: Sequence[int],
        *,
        hole_free: bool,
        exactly_once: bool,
    ) -> None:
        self._up, self._down, self._begin, self._suspects = up, down, begin, suspects
        self._hole_free, self._exactly_once = hole_free, exactly_once
        self._last = len(up) - 1
        sizes = (down[place + 1] - down[place] for place in suspects if place < self._last)
        self._doubtful = [*accumulate((size - 1 for size in sizes), initial=0)]

    def not_past(self) -> list[int]:
        """The suspect intervals of whose repeats counting does not show that the mirror has got past them."""
        last = self._last
        return [p for p in self._suspects if p < last and self._copied(p, last) < self._reach(p)]

    def past(self, place: int) -> int | None:
        """The first point that is not below anything copied in a suspect interval; None if no point is known to be."""
        since = self._since(place)
        points = range(since, self._last + 1)
        at = bisect_left(points, self._reach(place), key=lambda until: self._copied(place, until))
        return points[at] if at < len(points) else None

    def _reach(self, place: int) -> int:
        return self._down[place + 1] - self._down[place] - 1

    def _since(self, place: int) -> int:
        return max(bisect_left(self._up, self._up[place], self._begin), place + 1)

    def _copied(self, place: int, until: int) -> int:
        """At least so many records above the point were copied after it, in order, up to a later one; negative: none.

        It rises with ``until``.
        """
        since = self._since(place)
        if since > until:
            return -1
        if self._hole_free and place > 0:
            return self._up[until] - self._up[place]
        here = 1 if self._up[since] > self._up[place] else 0
        if self._exactly_once:
            return until - since + here
        repeated = self._doubtful[self._number(until)] - self._doubtful[self._number(since)]
        return self._down[until] - self._down[since] - repeated + here

    def _number(self, place: int) -> int:
        return bisect_left(self._suspects, place, 0, len(self._doubtful) - 1)
