"""Offset translation for one partition: from MM2's own records to the position that neither loses nor repeats.

Definition. ``f(u)`` is the largest target offset such that every mirrored source record at or above ``u`` whose copy
is still in the target has its last copy at or above it; the log end if there is no such record. Anything larger loses
records, anything smaller reads some again. Two positions with no data record between them are the same position.

Evidence. Every offset sync is an exact pair: a source record and the target offset of a copy. The history of all of
them, "before the first offset" on both sides, and the tail (the last mirrored source record and the last data record
of the target) are the *points* of the ``Course``, which says where copies may repeat. Between two neighbouring points
``(s1, d1)`` and ``(s2, d2)``:

* *clean*: let ``m`` be the data records strictly between, and ``g = s2 - s1 - 1``. The number of those ``m`` that lie
  before ``u`` is at least ``m - (s2 - u)`` and at most ``min(m, u - s1 - 1)``; with ``g = m`` the two are equal and the
  position is **exact**, otherwise the lower one is committed and the answer **bounded** by the difference. ``m > g``
  contradicts "copied once": the first position after ``d1`` is committed.
* *suspect*, of a source without holes: ``d1 + (u - s1)`` is never too far, as repeats only push copies back.
* *suspect* otherwise: counting proves nothing (holes and repeats cancel); ``d1`` itself for ``u = s1``, and else the
  position after ``d1``, are safe, because a restarted task goes on at or below what it had.

Repeats in later intervals that may reach down to ``u`` raise the upper bound only (``Course.highest``). A checkpoint of
MM2's raises the lower one: ``f`` is monotone, so that ``(u0, d0)`` says ``f(u) >= d0`` for every ``u >= u0``. Where the
bounds differ, the record itself may decide (``search`` and ``drkit.domain.record_match``), or all records of the
target around it (``repeats`` and ``drkit.domain.repeats``).

Invariants: never past ``f(u)``; monotone in ``u``; never beyond the log end; ``Exact`` is never wrong; ``Bounded(n)``
is never off by more than ``n``. What they rest on, and what the caller vouches for:

* nobody but the flow wrote to the target (``m > g`` shows some of it);
* ``exactly_once``: no record was copied twice since the last restart that the syncs show (KIP-618); without it, no
  transaction ever wrote to what is retained of the target;
* a source that never showed a hole over its whole retained history has none, unless the caller knows better;
* the source's compaction leaves alone what a restarted task copies again;
* ``Tail.is_final`` and ``Tail.drained_to`` are proved, not hoped for.

Sources: ``OffsetSyncWriter`` and ``MirrorSourceTask`` of Kafka's ``connect/mirror``, ``ExactlyOnceWorkerSourceTask``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import partial

from drkit.domain.anchors import NO_COPY, Anchors
from drkit.domain.brackets import REPEATED, RETENTION, after_last, between
from drkit.domain.counting import FOREIGN
from drkit.domain.course import Course, FlowFacts
from drkit.domain.floors import Floors
from drkit.domain.log_ends import Tail, TargetLog, beyond, closing, joined
from drkit.domain.past import Proof
from drkit.domain.record_match import Search
from drkit.domain.repeats import Repeats, repeats_around
from drkit.domain.samples import PositionSample
from drkit.domain.tail_check import TailCheck
from drkit.domain.verdicts import Ahead, Bounded, Exact, Floor, Placed, Range, Unavailable, Verdict

__all__ = [
    "Ahead",
    "Bounded",
    "Exact",
    "Floor",
    "OffsetMap",
    "Placed",
    "Range",
    "Tail",
    "TargetLog",
    "Unavailable",
    "Verdict",
]

_NOT_PAST = "the mirror was restarted, and is not known to have got past what it had copied before"
_NO_RECORD = 1 << 63
"""Above every offset."""


class OffsetMap:
    """The map of one partition, as of its making.

    It is asked twice: ``requests`` names the ranges of the target log whose data records decide, and ``translate``
    takes the sorted offsets of the committed data records in at least those ranges. Each look-up is O(log n).

    ``syncs``: pairs in the order of the offset-syncs topic, or an ``Anchors`` that was fed them; read before ``log``.
    ``exactly_once``: whether the flow runs with Connect's exactly-once support. ``hole_free``: whether every source
    offset is a record, None to go by the history. ``is_compacted``: whether either topic is.
    ``checkpoints``: upstream and downstream of MM2's, of any groups. ``is_past``: as ``proof`` shows.
    """

    def __init__(
        self,
        syncs: Iterable[tuple[int, int]] | Anchors,
        log: TargetLog,
        tail: Tail,
        *,
        exactly_once: bool = False,
        hole_free: bool | None = None,
        is_compacted: bool = False,
        checkpoints: Iterable[tuple[int, int]] = (),
        is_past: bool = False,
    ) -> None:
        anchors = syncs if isinstance(syncs, Anchors) else Anchors(syncs)
        floors = tuple(checkpoints)
        self._made = partial(
            OffsetMap,
            anchors,
            log,
            tail,
            exactly_once=exactly_once,
            hole_free=hole_free,
            is_compacted=is_compacted,
            checkpoints=floors,
        )
        self._notes = ""
        if len(anchors) and anchors.downstream[-1] >= log.end:
            self._notes = "; the target's log ends below what offset syncs speak of: it was made anew, or cut"
            anchors = Anchors()
        self._committed = tail.upstream_last
        self._log, self._drained_to, self._is_compacted = log, tail.drained_to, is_compacted
        pair, mirrored = closing(anchors, tail)
        self._course = Course(
            anchors,
            log.end,
            FlowFacts(exactly_once, hole_free, tail.upstream_last),
            tail=pair,
            is_sure=tail.in_order or tail.drained_to is not None,
            is_complete=mirrored is not None,
            is_past=is_past or tail.drained_to is not None,
        )
        if hole_free and self._course.has_holes:
            self._notes += "; the source was said to have no holes, and has some"
        self._tail = TailCheck(self._course, log, is_drained=tail.drained_to is not None)
        self._up, self._down = self._course.up, self._course.down
        self._mirrored = None if self._course.is_open else self._up[-1] if pair is not None else mirrored
        # Copies after the last point may be an unfinished replay: what a checkpoint says of them may come to nothing.
        is_doubtful = self._course.is_open and (len(self._up) > 1 or self._course.cut_at is not None)
        highest = self._down[-1] + 1 if is_doubtful else log.end
        self._floors = Floors(floors, highest)

    @property
    def is_hole_free(self) -> bool:
        """Whether the source is taken for one without holes: told so, or never seen with one."""
        return self._course.hole_free

    @property
    def first_mirrored(self) -> int | None:
        """The lowest source offset that is known to have a copy; None if none is."""
        return self._course.first_mirrored

    @property
    def proof(self) -> Proof | None:
        """Which of the target's records may show that the mirror has got past all it had copied before a restart.

        None where there is no doubt of it, or none that they can settle.
        """
        proof = None if self._is_compacted else self._course.proof
        return None if proof is None or proof.intervals[0][0] < self._log.start else proof

    def once_past(self) -> OffsetMap:
        """The map that it is once the proof holds."""
        return self._made(is_past=True)

    def request(self, upstream: int) -> tuple[int, int] | None:
        """The target offsets (end excluded) whose data records decide about this position; None if none is needed."""
        place = self._gap_of(upstream)
        if place is not None:
            start, end = self._down[place] + 1, self._down[place + 1]
            if self._tail.is_needed(upstream):
                end = self._log.end
        elif self._is_compacted and self._course.is_blurred_after(at := self._course.before(upstream)):
            start, end = self._down[at], self._down[min(at + 1, len(self._down) - 1)] + 1
        else:
            return None
        start = max(start, self._log.start)
        return (start, end) if start < end else None

    def requests(self, upstreams: Iterable[int]) -> tuple[tuple[int, int], ...]:
        """What these positions need together: ranges in order, none overlapping or touching another."""
        return joined({one for upstream in upstreams if (one := self.request(upstream)) is not None})

    def source_request(self, upstream: int) -> tuple[int, int] | None:
        """The source offsets (end excluded) that decide where the target's alone do not; None if they cannot."""
        # Logs that are compacted each for itself may hold as many records, and not the same.
        place = None if self._is_compacted else self._gap_of(upstream)
        if place is None or not self._up[place] < upstream <= self._up[place + 1]:
            return None
        return self._up[place] + 1, self._up[place + 1]

    def translate(self, upstream: int, records: Sequence[int] = (), source: Sequence[int] | None = None) -> Placed:
        """Where a group continues that has committed ``upstream`` (its next offset) on the source.

        ``records``: sorted offsets of the committed data records in at least the range that ``request`` named.
        ``source``: the same of the source log and ``source_request``, while the source is alive. If it still has as
        many records there as the target, those are the ones that were copied, in the same order.
        """
        if upstream < 0:
            raise ValueError(f"a committed offset is not negative: {upstream}")
        if self._tail.is_needed(upstream) and (refuted := self._tail.refuted(records)) is not None:
            return refuted.verdict(self._log.start, RETENTION)
        if self._mirrored is not None and upstream > self._mirrored:
            return beyond(upstream, self._mirrored, self._log.end, self._drained_to)
        known = None if self._is_compacted else source
        return self._range(upstream, records, known).verdict(self._log.start, RETENTION)

    def search(
        self, sample: PositionSample, records: Sequence[int], source: Sequence[int] | None = None
    ) -> Search | None:
        """Where the sampled record would decide what ``translate`` with the same records does not; None if nowhere."""
        upstream = sample.upstream
        if self._is_compacted or not isinstance(self.translate(upstream, records, source), Bounded):
            return None
        bracket, place = self._range(upstream, records, source), self._course.before(upstream)
        known, begin = sample.first or sample.before, self._course.first_mirrored
        # The flow may have begun above the record: what looks like it is another one then.
        if known is None or begin is None or known.offset < begin or bracket.low < self._log.start:
            return None
        at = max(0, bisect_left(self._down, bracket.low) - 1)
        request = max(self._log.start, self._down[at]), min(bracket.high + 1, self._log.end)
        is_unique = not self._course.is_blurred(place, upstream) and FOREIGN not in bracket.reason
        committed = NO_COPY if self._committed is None else self._committed
        is_mirrored = known.offset <= max(self._up[-1], committed)
        course = self._course if self._course.is_past and FOREIGN not in bracket.reason else None
        return Search(sample, bracket, request, is_unique, is_mirrored, course)

    def repeats(self, upstream: int) -> Repeats | None:
        """What of the target shows where records were copied again, and so decides what ``translate`` does not."""
        found = None if self._is_compacted else repeats_around(self._course, upstream)
        return found if found is not None and found.request[0] >= self._log.start else None

    def _range(self, upstream: int, records: Sequence[int], source: Sequence[int] | None) -> Range:
        place = self._course.before(upstream)
        if self._up[place] == upstream:
            last = upstream == self._mirrored
            reason = "the last mirrored record" if last else "an offset sync of this very record"
            found = Range(self._down[place], self._down[place], 0, reason)
        elif place + 1 == len(self._up):
            found = after_last(self._course, upstream, self._log.end, is_complete=self._mirrored is not None)
        else:
            found = between(self._course, place, upstream, records, source, self._log.start)
        blurred = self._blurred(place, self._retained(place, upstream, found, records), found)
        return self._floors.raised(upstream, blurred).noted(self._notes)

    def _retained(self, place: int, upstream: int, found: Range, records: Sequence[int]) -> int:
        """An upstream offset that the first record whose copy is left, at or above this one, is not above."""
        if self._is_compacted and self._course.is_blurred_after(place):
            # What is left may begin where records repeat, unless one is seen before.
            begin, after = max(found.low, self._log.start), place + 1
            at = bisect_left(records, begin)
            is_seen = after < len(self._up) and at < len(records) and records[at] <= self._down[after]
            return self._up[after] if is_seen else _NO_RECORD
        if found.low < self._log.start:
            first = bisect_left(self._down, self._log.start)
            return max(upstream, self._up[first]) if first < len(self._up) else _NO_RECORD
        return upstream

    def _blurred(self, place: int, upstream: int, found: Range) -> Range:
        highest = self._course.highest(place, upstream)
        if highest is None or highest <= found.high:
            return found
        at_most = highest - max(found.low, self._log.start)
        if self._course.is_linear(place):
            at_most = min(at_most, self._course.repeats(place))
        reason = _NOT_PAST if self._course.cut_at is not None else REPEATED
        return Range(found.low, highest, max(0, at_most, found.at_most), reason)

    def _gap_of(self, upstream: int) -> int | None:
        """The point before the gap that has to be counted for this position."""
        if self._tail.is_needed(upstream):
            return len(self._up) - 2
        place = self._course.before(upstream)
        if place + 1 == len(self._up) or upstream <= self._up[place] + 1 or self._course.is_suspect(place):
            return None
        if self._course.is_linear(place):
            return None
        return place
