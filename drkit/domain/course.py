"""The course of the copying: which record was copied where, in what order, and where records may be copied twice.

Points are the syncs in the order of the copies, after "before the first offset" on both sides, and then the tail.
Between two neighbouring points, ``size`` is the number of target offsets up to and with the second. Where every record
there was copied once, the interval is *clean*; a *suspect* interval may hold a task's start, and so records twice.

==========================  ============================================================================================
flow                        suspect
==========================  ============================================================================================
exactly-once                everything before the last restart that the syncs show
source without holes        where the target advanced further than the source: each copied record is one offset of both,
                            so that what the two differ by is the number of repeats
starts of tasks are known   where one started; where the target advanced further than the source
nothing is known            every interval of more than one copy: holes and repeats cancel
==========================  ============================================================================================

A suspect interval of ``size`` copies blurs what lies around it, but not further than those copies reach:

* *backwards*: a task that started in it copied at most ``size`` records up to the interval's end again;
* *forwards*: before it started, the last one had come at most ``size - 1`` records further. Until the mirror has
  copied as many again, the last copies of those are still here, and everything later is a replay: the course is cut
  at the first interval whose repeats the mirror is not known to have got past, and the rest is one open interval.

A start repeats what was committed at most: a committed offset of Connect's own (``committed``) does not go back, and
says how low the start in an open interval can have been.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from operator import sub

from drkit.domain.anchors import NO_COPY, Anchors
from drkit.domain.past import proof_by_records
from drkit.domain.progress import Progress

_CERTIFYING = 8
"""So many intervals without a hole, and none with one, are taken for a source without holes."""


@dataclass(frozen=True, slots=True)
class FlowFacts:
    """What is known of the flow as a whole.

    ``hole_free``: whether every source offset from the first mirrored one on is a record (no transactions, no
    compaction, no filter): as told, or None to go by the history. ``committed``: the last mirrored source offset by
    Connect's own account, read before the target's log end; a lower bound while the mirror is at work.
    """

    exactly_once: bool = False
    hole_free: bool | None = None
    committed: int | None = None


class Course:
    """Points, the suspect intervals among them, and how far each blurs. Interval ``i`` is after point ``i``.

    ``end``: the target's log end. ``tail``: the last mirrored record and its copy, where the two belong together;
    ``is_sure``: that was proved. ``is_complete``: nothing was copied after the last point. ``is_past``: the mirror has
    certainly got past whatever it had to copy again (it was drained).
    """

    def __init__(
        self,
        anchors: Anchors,
        end: int,
        flow: FlowFacts,
        *,
        tail: tuple[int, int] | None = None,
        is_sure: bool = True,
        is_complete: bool = False,
        is_past: bool = False,
    ) -> None:
        self._end, self._flow = end, flow
        self.up, self.down = array("q", [NO_COPY]), array("q", [anchors.origin])
        self.up.extend(anchors.upstream)
        self.down.extend(anchors.downstream)
        self._runs = [0, *(index + 1 for index in anchors.runs[1:])]
        self.has_holes = self._shows_holes()
        self.hole_free = self._is_hole_free(anchors.missed)
        known_from = anchors.starts_known_from
        is_told = known_from is not None and known_from <= len(anchors)
        self._ends_clean = flow.exactly_once or (is_told and len(anchors) not in anchors.starts)
        self.has_tail = tail is not None and self._append(tail, is_sure=is_sure or flow.exactly_once)
        self.is_open = not (is_complete or self.has_tail)
        self.suspects = self._find_suspects(anchors)
        self.reached = max(self.up)
        self._progress = Progress(
            self.up,
            self.down,
            self._runs[-1],
            self.suspects,
            hole_free=self.hole_free,
            exactly_once=flow.exactly_once,
        )
        doubts = [] if is_past else self._progress.not_past()
        self.cut_at, self.proof = next(iter(doubts), None), proof_by_records(self.up, self.down, doubts)
        if self.cut_at is not None:
            self._cut(self.cut_at)
        self._blurs = self._find_blurs()
        self._lookup = self._find_runs()

    def before(self, upstream: int) -> int:
        """The last point at or below this upstream offset: everything copied after it is above."""
        firsts, bounds = self._lookup
        begin, end = bounds[bisect_right(firsts, upstream) - 1]
        return bisect_right(self.up, upstream, begin, end) - 1

    @property
    def first_mirrored(self) -> int | None:
        """The lowest source offset that is known to have a copy."""
        begins = (max(begin, 1) for begin in self._runs)
        return min((self.up[begin] for begin in begins if begin < len(self.up)), default=None)

    def is_suspect(self, place: int) -> bool:
        """Whether records may be twice between this point and the next, or the end."""
        at = bisect_left(self.suspects, place)
        return at < len(self.suspects) and self.suspects[at] == place

    def is_linear(self, place: int) -> bool:
        """Whether no copy can be further left of the point after than its source offset is."""
        # Before the first point lies what was never mirrored: nobody knows where the flow began.
        return self.hole_free and place > 0

    def last_blurring(self, place: int, upstream: int) -> int | None:
        """The last suspect interval from point ``place`` on whose repeats may reach down to this offset."""
        lows, suspects = self._blurs
        at = bisect_right(lows, upstream) - 1
        return None if at < 0 or suspects[at] < place else suspects[at]

    def lowest_repeat(self, place: int) -> int:
        """The lowest source offset that may be repeated after the point; above every offset if none is."""
        lows, suspects = self._blurs
        at = bisect_left(suspects, place)
        return lows[at] if at < len(lows) else 1 << 63

    def furthest(self, begin: int, end: int) -> int:
        """The highest source offset that may have been copied between two points before a task started again."""
        between = self.suspects[bisect_left(self.suspects, begin) : bisect_left(self.suspects, end)]
        return max((self.up[place] + self.size(place) - 1 for place in between), default=NO_COPY)

    def highest(self, place: int, upstream: int) -> int | None:
        """The highest target offset at which the last copy can be; None if nothing after point ``place`` blurs it."""
        suspect = self.last_blurring(place, upstream)
        if suspect is None:
            return None
        after = suspect + 1
        if after == len(self.up):
            return self._end
        if self.hole_free and place > 0:
            return self.down[after] - max(0, self.up[after] - upstream)
        return self.down[after]

    def is_blurred(self, place: int, upstream: int) -> bool:
        """Whether the record at this upstream offset, after the point, may have been copied more than once."""
        return self.is_suspect(place) or self.highest(place, upstream) is not None

    def is_blurred_after(self, place: int) -> bool:
        """Whether any interval from this point on is suspect."""
        return len(self.suspects) > 0 and self.suspects[-1] >= place

    @property
    def is_past(self) -> bool:
        """Whether the mirror has got past all it had copied: behind a last copy are those of all records above it."""
        return self.cut_at is None and not (self.is_open and self.is_suspect(len(self.up) - 1))

    def copied_between(self, place: int) -> tuple[int, int | None]:
        """Whatever was copied after the point and before the next, or up to the end, is of these source offsets.

        The second is excluded, and None where nobody knows it. For a course that ``is_past``.
        """
        after = place + 1
        is_last = after == len(self.up)
        if not self.is_suspect(place):
            return self.up[place] + 1, None if is_last else self.up[after]
        if is_last:
            return 0, None
        past = self._progress.past(place)
        low = min(self.up[place] + 1, self._reach_back(place, self.up[after]))
        if past is not None:
            return low, max(self.up[past], self.up[after]) + 1
        return low, None if self.is_open else self.reached + 1

    def size(self, place: int) -> int:
        """Target offsets after this point up to and with the next, or up to the end."""
        return (self.down[place + 1] if place + 1 < len(self.down) else self._end - 1) - self.down[place]

    def repeats(self, place: int) -> int:
        """Of a source without holes: how many copies after the point can be repeats."""
        last = len(self.up) - 1
        between = self.down[last] - self.up[last] - (self.down[place] - self.up[place])
        return between + (self.size(last) if self.is_open else 0)

    def _append(self, tail: tuple[int, int], *, is_sure: bool) -> bool:
        ahead, copies = tail[0] - self.up[-1], tail[1] - self.down[-1]
        if self._ends_clean and ahead <= 0:
            return False
        # A killed worker's account is behind, and then the pair is none: where it can be seen, the two must agree.
        is_checked = self.hole_free and len(self.up) > 1
        if ahead < 0 or (ahead != copies if is_checked else not is_sure):
            return False
        if ahead == 0:
            # A later copy of the same record.
            self._runs.append(len(self.up))
        self.up.append(tail[0])
        self.down.append(tail[1])
        return True

    def _skews(self, begin: int = 0) -> Iterator[tuple[int, int]]:
        """By how much the target is ahead of the source, at each point and the next: repeats add, holes take away."""
        return pairwise(map(sub, islice(self.down, begin, None), islice(self.up, begin, None)))

    def _shows_holes(self) -> bool:
        return not self._flow.exactly_once and any(two < one for one, two in self._skews(1))

    def _is_hole_free(self, missed: int) -> bool:
        if self._flow.exactly_once or self.has_holes or self._flow.hole_free is False:
            return False
        if self._flow.hole_free:
            return True
        # Where syncs are missing, a hole and a repeat may hide each other.
        return sum(one == two for one, two in self._skews(1 + missed)) >= _CERTIFYING

    def _find_suspects(self, anchors: Anchors) -> Sequence[int]:
        last = len(self.up) - 1
        open_end = [last] if self.is_open and not self._ends_clean and self._end - 1 > self.down[-1] else []
        if self._flow.exactly_once:
            # Below the first point of a topic made anew lie copies of the old one.
            return range(max(self._runs[-1], 0 if anchors.origin == NO_COPY else min(1, last)))
        found = {place for place, (one, two) in enumerate(self._skews()) if two > one}
        known_from = anchors.starts_known_from
        if known_from is not None:
            # The first start of all repeats nothing.
            found |= {place for place in anchors.starts if 0 < place < last}
            found |= {0} if anchors.starts.count(0) > 1 and last > 0 else set()
        unknown = range(min(last if known_from is None else known_from, 1 if self.hole_free else last, last))
        found |= {place for place in unknown if self.size(place) > 1}
        return array("q", [*sorted(found), *open_end])

    def _cut(self, place: int) -> None:
        del self.up[place + 1 :], self.down[place + 1 :]
        self._runs = [index for index in self._runs if index <= place]
        kept = self.suspects[: bisect_left(self.suspects, place)]
        self.suspects = array("q", [*kept, place])
        self.has_tail, self.is_open, self._ends_clean = False, True, False

    def _find_blurs(self) -> tuple[list[int], list[int]]:
        """Suspect intervals with the lowest upstream offset they may hold, where no later one goes as low."""
        lows: list[int] = []
        places: list[int] = []
        last = len(self.up) - 1
        for place in reversed(self.suspects):
            if place == last:
                committed = NO_COPY if self._flow.committed is None else self._flow.committed
                reached = min(self.up[last], committed)
            else:
                reached = self.up[place + 1]
            low = self._reach_back(place, reached)
            if not lows or low < lows[-1]:
                lows.append(low)
                places.append(place)
        return lows[::-1], places[::-1]

    def _reach_back(self, place: int, reached: int) -> int:
        """The lowest source offset that as many copies as the interval has, up to ``reached``, can begin at."""
        size = self.size(place)
        if self.hole_free and reached > NO_COPY:
            low = reached - size + 1
            # Nobody knows of a record below the first point.
            return low if len(self.up) > 1 and low > self.up[1] else 0
        begin = self._runs[bisect_right(self._runs, place) - 1]
        if (known := bisect_right(self.up, reached, begin, place + 1) - 1) < begin:
            return 0
        if not self._flow.exactly_once:
            since = bisect_right(self.down, self.down[known] - size, begin, known + 1) - 1
            at = bisect_left(self.suspects, since)
            if since >= begin and (at == len(self.suspects) or self.suspects[at] >= known):
                # All counted: so many records below a point, and as many offsets more as have no copy there.
                after = since + 1
                holes = self.up[after] - self.up[since] - (self.down[after] - self.down[since])
                left = size - (self.down[known] - self.down[after])
                return max(self.up[since], self.up[after] - left - holes) + 1
        since = known - size
        return self.up[since] + 1 if since >= begin else 0

    def _find_runs(self) -> tuple[list[int], list[tuple[int, int]]]:
        """First upstream offset and bounds of each run that no later one begins below."""
        firsts: list[int] = []
        bounds: list[tuple[int, int]] = []
        end = len(self.up)
        for begin in reversed(self._runs):
            if not firsts or self.up[begin] < firsts[-1]:
                firsts.append(self.up[begin])
                bounds.append((begin, end))
            end = begin
        return firsts[::-1], bounds[::-1]
