"""Offset translation for one partition: from MM2's own records to the position that neither loses nor repeats.

Definition. ``f(u)`` is the largest target offset such that every mirrored source record at or above ``u`` whose copy
is still in the target has its last copy at or above it; the log end if there is no such record. Anything larger loses
records, anything smaller reads some again. Two positions with no data record between them are the same position.

Evidence. Every offset sync is an exact pair: a source record and the target offset of a copy. The history of all of
them, "before the first offset" on both sides, and the tail (the last mirrored source record and the last data record
of the target) are the *anchors*. Let ``m`` be the data records strictly between two neighbours ``(s1, d1)`` and
``(s2, d2)``, and ``g = s2 - s1 - 1`` the source offsets there. Where every record was copied once, the number of those
``m`` that lie before ``u`` is at least ``m - (s2 - u)`` and at most ``min(m, u - s1 - 1)``; with ``g = m`` the two are
equal and the position is **exact**, otherwise the lower one is committed and the answer **bounded** by the difference.
``m > g`` contradicts "copied once": the first position after ``d1`` is committed.

Where records may have been copied again, counting proves nothing (holes and repeats cancel); ``d1`` itself for
``u = s1``, and else the position after ``d1``, are safe, because a restarted task goes on at or below what it had.

Invariants: never past ``f(u)``; monotone in ``u``; never beyond the log end; ``Exact`` is never wrong; ``Bounded(n)``
is never off by more than ``n``. What they rest on, and what the caller vouches for:

* nobody but the flow wrote to the target (``m > g`` shows some of it);
* ``exactly_once``: no record was copied twice since the last restart that the syncs show (KIP-618);
* a mirror that had to copy again has got past what it had copied before, unless the syncs show that it has not;
* ``Tail.is_final`` and ``Tail.drained_to`` are proved, not hoped for.

A target written without transactions has no markers, so that ``m = d2 - d1 - 1`` could be had without reading. But it
is also one on which copies may repeat, where ``m`` is of no use: so data records are always read.

Sources: ``OffsetSyncWriter`` and ``MirrorSourceTask`` of Kafka's ``connect/mirror``, ``ExactlyOnceWorkerSourceTask``.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from drkit.domain.anchors import NO_COPY, Anchors
from drkit.domain.verdicts import Ahead, Bounded, Exact, Floor, Placed, Unavailable, Verdict

__all__ = ["Ahead", "Bounded", "Exact", "Floor", "OffsetMap", "Placed", "Tail", "TargetLog", "Unavailable", "Verdict"]

_RETENTION = "the target's retention has deleted records below, which the group may not have read"


@dataclass(frozen=True, slots=True)
class TargetLog:
    """The target partition's first retained offset and its end (next offset)."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Tail:
    """How far the flow came.

    ``upstream_last``: source offset of the last mirrored record (Connect's own), None if there is none.
    ``downstream_last``: offset of the last data record in the target, None if it holds none.
    ``drained_to``: source log end below which nothing is left to mirror; None if that was not proved.
    ``is_final``: the two belong together, because the mirror was stopped, or drained, before they were read, and no
    transaction was open on the target (``LogRange.is_settled``). Without exactly-once it must have stopped in order:
    Connect's offsets of a killed worker are behind. Follows from ``drained_to``.
    """

    upstream_last: int | None
    downstream_last: int | None
    drained_to: int | None = None
    is_final: bool = False


class OffsetMap:
    """The map of one partition, as of its making.

    It is asked twice: ``requests`` names the ranges of the target log whose data records decide, and ``translate``
    takes the sorted offsets of the committed data records in at least those ranges. Each look-up is O(log n).

    ``syncs``: pairs in the order of the offset-syncs topic, or an ``Anchors`` that was fed them; read before ``log``.
    ``exactly_once``: whether the flow runs with Connect's exactly-once support.
    """

    def __init__(
        self,
        syncs: Iterable[tuple[int, int]] | Anchors,
        log: TargetLog,
        tail: Tail,
        *,
        exactly_once: bool = False,
    ) -> None:
        anchors = syncs if isinstance(syncs, Anchors) else Anchors(syncs)
        self._log = log
        self._up, self._down = anchors.upstream[:], anchors.downstream[:]
        self._unique_from = anchors.unique_from if exactly_once else log.end
        self._doubt = "records may have been copied more than once here"
        if self._down and self._down[-1] >= log.end:
            # The target was made anew: its log never held what the syncs speak of.
            del self._up[:], self._down[:]
            self._unique_from = NO_COPY if exactly_once else log.end
        elif self._is_still_repeating(anchors, tail):
            # What was copied again ends below what had been copied: only what was known before is safe.
            kept = bisect_right(self._down, anchors.highest[1])
            del self._up[kept:], self._down[kept:]
            self._unique_from = log.end
            self._doubt = "the mirror was restarted, and has not got past what it had copied before"
            tail = Tail(None, None)
        # Before the first offset on one side is before the first on the other: a pair, too.
        self._up.insert(0, NO_COPY)
        self._down.insert(0, NO_COPY)
        self._drained_to = tail.drained_to
        self._mirrored, self._has_tail = self._close(tail)

    def request(self, upstream: int) -> tuple[int, int] | None:
        """The target offsets (end excluded) whose data records decide about this position; None if none is needed."""
        place = self._gap_of(upstream)
        if place is None:
            return None
        start, end = max(self._down[place] + 1, self._log.start), self._down[place + 1]
        if self._checks_tail(upstream):
            end = self._log.end
        return (start, end) if start < end else None

    def requests(self, upstreams: Iterable[int]) -> tuple[tuple[int, int], ...]:
        """What these positions need together: ranges in order, none overlapping or touching another."""
        merged: list[tuple[int, int]] = []
        for start, end in sorted({one for upstream in upstreams if (one := self.request(upstream)) is not None}):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end))
            else:
                merged.append((start, end))
        return tuple(merged)

    def source_request(self, upstream: int) -> tuple[int, int] | None:
        """The source offsets (end excluded) that decide where the target's alone do not; None if they cannot."""
        place = self._gap_of(upstream)
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
        if self._checks_tail(upstream) and (refuted := self._refuted_tail(records)) is not None:
            return refuted
        if self._mirrored is not None and upstream > self._mirrored:
            return self._beyond(upstream, self._mirrored)
        place = bisect_right(self._up, upstream) - 1
        if self._up[place] == upstream:
            return self._at(place)
        if place + 1 == len(self._up):
            return self._after_last(upstream)
        return self._between(place, upstream, records, source)

    def _is_unique(self, downstream: int) -> bool:
        """Whether no record was copied twice from this target offset on."""
        return downstream >= self._unique_from

    def _is_still_repeating(self, anchors: Anchors, tail: Tail) -> bool:
        reached = [*self._up[-1:], _or(tail.upstream_last, NO_COPY) if tail.is_final else NO_COPY]
        return tail.drained_to is None and anchors.highest[0] > max(reached)

    def _close(self, tail: Tail) -> tuple[int | None, bool]:
        """The last mirrored source offset (-1: nothing was, None: not known), and whether the tail became an anchor."""
        last_up, last_down = self._up[-1], self._down[-1]
        at = tail.downstream_last
        if not tail.is_final and tail.drained_to is None:
            return None, False
        if at is None or at <= last_down:
            # Nothing follows the last sync. Without any sync and any Connect offset, nothing was ever mirrored.
            known = tail.upstream_last is not None or at == last_down or last_up == NO_COPY
            return (max(last_up, _or(tail.upstream_last, NO_COPY)), False) if known else (None, False)
        if tail.upstream_last is None or tail.upstream_last < last_up + (1 if self._is_unique(last_down) else 0):
            return None, False
        if tail.upstream_last == last_up:
            # A later copy of the same record.
            self._up.pop()
            self._down.pop()
        self._up.append(tail.upstream_last)
        self._down.append(at)
        return tail.upstream_last, True

    def _checks_tail(self, upstream: int) -> bool:
        """Whether the position rests on the tail alone, so that it is held against the last sync."""
        return (
            self._has_tail
            and self._drained_to is None
            and upstream >= self._up[-1]
            and self._up[-2] > NO_COPY
            and self._is_unique(self._down[-2])
        )

    def _refuted_tail(self, records: Sequence[int]) -> Bounded | None:
        position = max(self._down[-2] + 1, self._log.start)
        begin, end = bisect_left(records, position), bisect_left(records, self._down[-1])
        if end - begin <= self._up[-1] - self._up[-2] - 1:
            return None
        return Bounded(position, len(records) - begin, "the target holds more records at its end than the source had")

    def _gap_of(self, upstream: int) -> int | None:
        """The anchor before the gap that has to be counted for this position."""
        if self._checks_tail(upstream):
            return len(self._up) - 2
        place = bisect_right(self._up, upstream) - 1
        if place < 0 or place + 1 == len(self._up) or upstream <= self._up[place] + 1:
            return None
        return place if self._is_unique(self._down[place]) else None

    def _beyond(self, upstream: int, mirrored: int) -> Exact | Ahead:
        end = self._log.end
        if self._drained_to is not None and upstream <= self._drained_to:
            return Exact(end, "everything was mirrored: the group continues at the end")
        if upstream == mirrored + 1:
            return Exact(end, "the group had consumed exactly what was mirrored")
        if self._drained_to is not None:
            return Ahead(end, upstream - self._drained_to, f"beyond the source's end at {self._drained_to}")
        what = f"up to {mirrored}" if mirrored >= 0 else "nothing"
        return Ahead(end, upstream - mirrored - 1, f"mirrored {what}, consumed up to {upstream - 1}")

    def _at(self, place: int) -> Placed:
        at = self._down[place]
        if self._up[place] == self._mirrored:
            return self._kept(Exact(at, "the last mirrored record"))
        if self._is_unique(at):
            return self._kept(Exact(at, "an offset sync of this very record"))
        return self._repeated(at)

    def _after_last(self, upstream: int) -> Placed:
        at, skipped = self._down[-1] + 1, upstream - self._up[-1] - 1
        if self._mirrored is not None:
            return Floor(max(at, self._log.start), "the target holds no copy of it or of what follows", 0)
        if not self._is_unique(self._down[-1]):
            return self._repeated(at, later=skipped)
        if skipped == 0:
            return self._kept(Exact(at, self._next_reason(len(self._up) - 1)))
        return self._kept(Bounded(at, skipped, "after the last offset sync, and the mirror may still be at work"))

    def _between(self, place: int, upstream: int, records: Sequence[int], source: Sequence[int] | None) -> Placed:
        after = self._down[place] + 1
        if not self._is_unique(self._down[place]):
            return self._repeated(after)
        if self._down[place + 1] < self._log.start:
            return Floor(self._log.start, _RETENTION, 0)
        if upstream == self._up[place] + 1:
            return self._kept(Exact(after, self._next_reason(place)))
        return self._counted(place, upstream, records, source)

    def _counted(self, place: int, upstream: int, records: Sequence[int], source: Sequence[int] | None) -> Placed:
        (s1, s2), (d1, d2) = self._up[place : place + 2], self._down[place : place + 2]
        begin = max(d1 + 1, self._log.start)
        first, gap = bisect_left(records, begin), s2 - s1 - 1
        count = bisect_left(records, d2) - first
        if count > gap:
            reason = "the target holds more records here than the source had: somebody else wrote, or copies repeat"
            return self._kept(Bounded(d1 + 1, count, reason))
        low, high = max(0, count - (s2 - upstream)), min(count, upstream - s1 - 1)
        position = records[first + low] if low < count else d2
        if low == 0 and d1 + 1 < self._log.start:
            return Floor(begin, _RETENTION, high)
        if low == high:
            return Exact(position, "counted between two offset syncs")
        if source is not None and bisect_left(source, s2) - (begun := bisect_right(source, s1)) == count:
            before = bisect_left(source, upstream) - begun
            return Exact(records[first + before] if before < count else d2, "counted on both sides")
        return Bounded(
            position, high - low, f"{gap - count} source offsets without a copy lie between two offset syncs"
        )

    def _next_reason(self, place: int) -> str:
        return "the record after an offset sync" if place else "from the first record on"

    def _repeated(self, at: int, later: int = 0) -> Exact | Bounded | Floor:
        """A position where copies may repeat. ``later``: records that may yet arrive and be read again."""
        limit = min(self._unique_from, self._log.end)
        at_most = max(0, limit - max(at, self._log.start)) + later
        return self._kept(
            Bounded(at, at_most, self._doubt) if at_most else Exact(at, "no record lies between it and a known copy")
        )

    def _kept(self, verdict: Exact | Bounded) -> Exact | Bounded | Floor:
        if verdict.downstream < self._log.start:
            return Floor(self._log.start, _RETENTION, verdict.replay_at_most)
        return verdict


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
