"""Offset translation for one partition: from MM2's own records to the position that neither loses nor repeats.

Definition. ``f(u)`` is the largest target offset such that every source record at or above ``u`` has a copy at or above
it. Anything larger loses records, anything smaller reads some again.

Evidence. Every offset sync is an exact pair: a source record and the target offset of its copy. The history of all of
them, and the tail (the last mirrored source record and the last data record of the target), are the *anchors*. Between
two neighbours ``(s1, d1)`` and ``(s2, d2)`` let ``n`` be the data records in ``(d1, d2]``:

* ``h = (s2 - s1) - n`` source offsets hold no record that was mirrored (markers, aborted or compacted records). With
  ``h = 0`` the ``k``-th offset after ``s1`` is the ``k``-th data record after ``d1``: **exact**.
* With ``h > 0`` the answer is at least ``d2`` minus ``(s2 - u)`` data records and at most the ``(u - s1)``-th after
  ``d1``: **bounded** by ``h``; the lower end is committed. If the source is alive and still has ``n`` records in
  ``(s1, s2]``, those are the ones that were copied, and counting both sides is **exact** again.
* Where records were copied again (an anchor whose source offset is not above an earlier one's), or ``h < 0``, counting
  proves nothing inside: the first data record after ``d1`` is committed, bounded by what lies before ``d2``.

Invariants: never past ``f(u)``; monotone in ``u``; never beyond the log end; ``Exact`` is never wrong; ``Bounded(n)``
is never off by more than ``n``. They hold as long as nobody but the flow wrote to the target.

Sources: ``OffsetSyncWriter``, ``OffsetSyncStore`` and ``MirrorSourceTask`` of Kafka's ``connect/mirror``.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exact:
    """The position itself."""

    downstream: int
    reason: str

    @property
    def replay_at_most(self) -> int | None:
        """Nothing is read again."""
        return 0


@dataclass(frozen=True, slots=True)
class Bounded:
    """A safe position; at most ``at_most`` records are read again."""

    downstream: int
    at_most: int
    reason: str

    @property
    def replay_at_most(self) -> int | None:
        """The bound."""
        return self.at_most


@dataclass(frozen=True, slots=True)
class Floor:
    """A safe position without a bound."""

    downstream: int
    reason: str

    @property
    def replay_at_most(self) -> int | None:
        """Not known."""
        return None


@dataclass(frozen=True, slots=True)
class Ahead:
    """The group has consumed up to ``missing`` source offsets that never arrived; it continues at the log end."""

    downstream: int
    missing: int
    reason: str

    @property
    def replay_at_most(self) -> int | None:
        """Nothing is read again."""
        return 0


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Nothing is known about the partition."""

    reason: str

    @property
    def downstream(self) -> None:
        """No position."""
        return

    @property
    def replay_at_most(self) -> int | None:
        """Not known."""
        return None


Verdict = Exact | Bounded | Floor | Ahead | Unavailable


@dataclass(frozen=True, slots=True)
class TargetLog:
    """The target partition's first retained offset and its end (next offset)."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Tail:
    """How far the flow came.

    ``upstream_last``: source offset of the last mirrored record (Connect's own). ``downstream_last``: offset of the
    last data record in the target, None if there is none. ``drained_to``: source log end up to which it was proved that
    nothing is left to mirror; None if that was not proved.
    """

    upstream_last: int | None
    downstream_last: int | None
    drained_to: int | None = None


@dataclass(frozen=True, slots=True)
class _Anchor:
    upstream: int
    downstream: int
    is_recopied: bool
    """Whether records between the anchor before and this one were copied more than once."""


class OffsetMap:
    """The map of one partition, made from the whole sync history and the tail.

    ``syncs``: pairs in the order of the offset-syncs topic. ``requests`` says which part of the target log a position
    needs; ``translate`` takes the offsets of the data records there.
    """

    def __init__(self, syncs: Iterable[tuple[int, int]], log: TargetLog, tail: Tail) -> None:
        self._log = log
        self._tail = tail
        self._anchors = _anchors(syncs, log, tail)
        self._upstream = [anchor.upstream for anchor in self._anchors]

    def request(self, upstream: int) -> tuple[int, int] | None:
        """The target offsets (end excluded) whose data records decide about this position; None if none is needed."""
        place = bisect_right(self._upstream, upstream) - 1
        if self._is_beyond(upstream) or not self._anchors:
            return None
        if place < 0:
            return self._log.start, self._anchors[0].downstream
        anchor = self._anchors[place]
        if anchor.upstream == upstream:
            return None
        end = self._anchors[place + 1].downstream + 1 if place + 1 < len(self._anchors) else self._log.end
        return max(self._log.start, anchor.downstream, 0), end

    def source_request(self, upstream: int) -> tuple[int, int] | None:
        """The source offsets (end excluded) that decide where target offsets alone cannot; None if nothing can."""
        place = bisect_right(self._upstream, upstream) - 1
        if place < 0 or place + 1 >= len(self._anchors) or self._anchors[place].upstream == upstream:
            return None
        return self._anchors[place].upstream + 1, self._anchors[place + 1].upstream + 1

    def translate(self, upstream: int, records: Sequence[int], source: Sequence[int] | None = None) -> Verdict:
        """Where a group continues that has committed ``upstream`` (its next offset) on the source.

        ``records``: sorted offsets of the committed data records in at least the range that ``request`` named.
        ``source``: the same of the source and ``source_request``, if it is alive.
        """
        if self._is_beyond(upstream):
            return self._beyond(upstream)
        if not self._anchors:
            return self._without_anchors()
        place = bisect_right(self._upstream, upstream) - 1
        if place < 0:
            return self._before_first(records)
        anchor = self._anchors[place]
        if anchor.upstream == upstream:
            return self._retained(Exact(anchor.downstream, "the record itself is an offset sync"))
        if place + 1 == len(self._anchors):
            return self._after_last(anchor, records)
        return self._retained(_between(anchor, self._anchors[place + 1], upstream, records, source))

    @property
    def _last_mirrored(self) -> int | None:
        """The last mirrored source offset, -1 if nothing was mirrored, None if that is not known."""
        newest = self._upstream[-1] if self._upstream else -1
        if self._tail.upstream_last is not None:
            return max(self._tail.upstream_last, newest)
        return -1 if self._tail.downstream_last is None and newest < 0 else None

    def _is_beyond(self, upstream: int) -> bool:
        last = self._last_mirrored
        return last is not None and upstream > last

    def _beyond(self, upstream: int) -> Verdict:
        last, drained = self._last_mirrored, self._tail.drained_to
        if last is None:
            return Floor(self._log.start, "how far the mirror came is not known")
        if drained is not None and upstream <= drained:
            return Exact(self._log.end, "everything was mirrored: the group continues at the end")
        if upstream == last + 1:
            return Exact(self._log.end, "the group had consumed exactly what was mirrored")
        return Ahead(self._log.end, upstream - last - 1, f"mirrored up to {last}, consumed up to {upstream - 1}")

    def _without_anchors(self) -> Verdict:
        return Floor(self._log.start, "no offset sync of this partition is left")

    def _before_first(self, records: Sequence[int]) -> Verdict:
        first = self._anchors[0].downstream
        if bisect_left(records, first) == bisect_left(records, self._log.start) and self._log.start <= first:
            return Exact(first, "the first record that was mirrored")
        return Floor(self._log.start, "older than the offset syncs that are left")

    def _after_last(self, anchor: _Anchor, records: Sequence[int]) -> Verdict:
        begin = bisect_right(records, anchor.downstream)
        position = records[begin] if begin < len(records) else self._log.end
        return self._retained(
            Bounded(position, len(records) - begin, "after the last offset sync, and the mirror's end is not known")
        )

    def _retained(self, verdict: Exact | Bounded) -> Verdict:
        if verdict.downstream < self._log.start:
            return Floor(self._log.start, "the target's retention has deleted the position")
        return verdict


def _anchors(syncs: Iterable[tuple[int, int]], log: TargetLog, tail: Tail) -> list[_Anchor]:
    # While the target has all it ever had, "before the first record" is a pair, too: the first sync need not be the
    # first mirrored record, since syncs that wait to be sent replace each other.
    kept = [_Anchor(-1, -1, is_recopied=False)] if log.start == 0 else []
    pairs = list(syncs)
    newest = pairs[-1] if pairs else None
    last, end = tail.upstream_last, tail.downstream_last
    if last is not None and end is not None and (newest is None or (last > newest[0] and end > newest[1])):
        pairs.append((last, end))
    for upstream, downstream in pairs:
        recopied = False
        while kept and kept[-1].upstream >= upstream:
            recopied |= kept[-1] != _Anchor(upstream, downstream, kept[-1].is_recopied)
            kept.pop()
        kept.append(_Anchor(upstream, downstream, recopied))
    return kept


def _between(
    before: _Anchor, after: _Anchor, upstream: int, records: Sequence[int], source: Sequence[int] | None
) -> Exact | Bounded:
    begin = bisect_right(records, before.downstream)
    end = bisect_right(records, after.downstream)
    copies = end - begin
    holes = (after.upstream - before.upstream) - copies
    if copies <= 0 or records[end - 1] != after.downstream:
        return Bounded(before.downstream, max(copies, 0) + 1, "the target does not hold the records that MM2 reported")
    if after.is_recopied or holes < 0:
        return Bounded(
            records[begin],
            copies - 1,
            "records were copied more than once here"
            if after.is_recopied
            else "the target holds more records than the source had",
        )
    high = min(begin + (upstream - before.upstream) - 1, end - 1)
    low = max(begin, end - 1 - (after.upstream - upstream))
    if holes == 0 or low == high:
        return Exact(records[high], "counted between two offset syncs")
    if source is not None:
        first, last = bisect_right(source, before.upstream), bisect_right(source, after.upstream)
        if last - first == copies:
            # Every record that is left on the source between the two was copied once: their order is the same.
            return Exact(records[begin + bisect_left(source, upstream) - first], "counted on both sides")
    return Bounded(records[low], high - low, f"{holes} source offsets without a record lie between two offset syncs")
