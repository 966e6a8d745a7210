"""Histories of one mirrored partition: what MM2 can make of a log, and the truth about it by record content.

A record is named by its source offset, so the target is a list of such names: nothing here counts or interpolates.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise, takewhile

from hypothesis import strategies as st

from drkit.domain.anchors import Anchors
from drkit.domain.digests import Fingerprint
from drkit.domain.kafka import TopicPartition
from drkit.domain.offsets import Tail, TargetLog
from drkit.domain.samples import Alone, PositionSample


@dataclass(frozen=True)
class History:
    """One partition at the time of translation.

    ``target``: per offset of the target's log the source record whose copy it holds; None for a marker, an aborted
    copy, or what compaction removed. ``removed``: source records that compaction took from the source after they were
    mirrored. ``syncs``: as in the topic. ``last``: the last mirrored source offset. ``source_end``: the source's log
    end if everything was mirrored.
    """

    source_length: int
    target: tuple[int | None, ...]
    syncs: tuple[tuple[int, int], ...]
    last: int | None
    source_end: int | None
    exactly_once: bool
    log_start: int = 0
    removed: frozenset[int] = field(default_factory=frozenset)
    committed: int | None = None
    """What Connect had committed, when nobody stopped it in order."""
    starts: tuple[int, ...] | None = None
    """The target's log end at each start of a task, if starts are known."""
    starts_known_from: int = 0
    is_hole_free: bool = False
    told_hole_free: bool | None = None
    is_compacted: bool = False
    """Whether the cleaner went over the target."""
    source: tuple[int, ...] = ()
    """The source's records, as they were written."""

    @property
    def log(self) -> TargetLog:
        return TargetLog(self.log_start, len(self.target))

    @cached_property
    def data(self) -> list[int]:
        """Offsets of the data records that are left."""
        return [at for at, name in enumerate(self.target) if name is not None and at >= self.log_start]

    @cached_property
    def last_copies(self) -> dict[int, int]:
        """Each record's last copy that is left."""
        return {name: at for at in self.data if (name := self.target[at]) is not None}

    def within(self, *ranges: tuple[int, int]) -> list[int]:
        """The data records in these ranges: all that a translator may know of the target."""
        return [at for at in self.data if any(start <= at < end for start, end in ranges)]

    def tail(self, *, is_final: bool, is_drained: bool = False) -> Tail:
        last = self.data[-1] if self.data else None
        upstream = self.last if is_final or is_drained or self.exactly_once else self.committed
        return Tail(upstream, last, self.source_end if is_drained else None, is_final)

    @property
    def anchors(self) -> Anchors:
        """The syncs, and what is known of starts, folded."""
        folded = Anchors()
        starts = list(self.starts or ())
        for number, (up, down) in enumerate(self.syncs):
            if self.starts is not None and number >= self.starts_known_from:
                folded.know_starts()
            while starts and starts[0] <= down:
                starts.pop(0)
                folded.add_start()
            folded.extend([(up, down)])
        for _ in starts:
            folded.add_start()
        return folded

    def sample(
        self, upstream: int, contents: Sequence[int], source_end: int, reach: tuple[int, int] | None = None
    ) -> PositionSample:
        """What a look at the source shows around an offset, when its log ended at ``source_end``.

        ``reach``: so many offsets below and above the record were searched for others that look like it.
        """
        records = [name for name in self.source if name < source_end]
        at = bisect_left(records, upstream)
        first = _fingerprint(records[at], contents[records[at]]) if at < len(records) else None
        before = _fingerprint(records[at - 1], contents[records[at - 1]]) if at else None
        alone = None
        if first is not None and reach is not None:
            searched = range(max(0, first.offset - reach[0]), min(source_end, first.offset + 1 + reach[1]))
            # By content, one by one, away from the record: independent of how the samples are made.
            same = {name for name in records if contents[name] == contents[first.offset]}
            below = takewhile(lambda offset: offset not in same, range(first.offset - 1, searched.start - 1, -1))
            above = takewhile(lambda offset: offset not in same, range(first.offset + 1, searched.stop))
            alone = Alone(first.offset - len([*below]), first.offset + 1 + len([*above]))
        return PositionSample(TopicPartition("t", 0), upstream, 0, first, before, alone)

    def fingerprints(self, contents: Sequence[int], request: tuple[int, int]) -> list[Fingerprint]:
        """The target's committed records in a range."""
        names = ((at, self.target[at]) for at in self.within(request))
        return [_fingerprint(at, contents[name]) for at, name in names if name is not None]

    def truth(self, upstream: int) -> int:
        """``f(u)``, by definition."""
        return min((at for name, at in self.last_copies.items() if name >= upstream), default=len(self.target))

    def lost(self, upstream: int, position: int) -> list[int]:
        """Records at or above ``upstream`` that are on the source and have no copy at or above the position."""
        copies = self.last_copies.items()
        return [name for name, at in copies if name >= upstream and at < position and name not in self.removed]

    def read_again(self, upstream: int, position: int) -> int:
        """Records that a group at the position reads before it comes to the truth."""
        return max(0, bisect_left(self.data, self.truth(upstream)) - bisect_left(self.data, position))


def _fingerprint(offset: int, content: int) -> Fingerprint:
    return Fingerprint(offset, bytes([content]), b"", is_tombstone=False, timestamp_ms=0)


booleans = st.booleans()
often = st.sampled_from([True, True, True, False])
sometimes = st.sampled_from([False, False, False, True])


@st.composite
def sources(draw: st.DrawFn) -> tuple[int, list[int]]:
    """Length of a source log, and the offsets of its records: the others are markers, aborted or compacted."""
    kinds = draw(st.lists(often, max_size=28))
    begin = draw(st.integers(0, len(kinds))) if draw(sometimes) else 0
    return len(kinds), [offset for offset, is_record in enumerate(kinds) if is_record and offset >= begin]


@st.composite
def exactly_once(draw: st.DrawFn) -> History:
    """A flow with transactions: every record once, markers and aborted copies in between."""
    length, records = draw(sources())
    # A flow may begin at the latest record of then.
    begun = records[draw(st.integers(0, len(records))) :] if draw(sometimes) else records
    mirrored = begun if draw(often) else begun[: draw(st.integers(0, len(begun)))]
    target: list[int | None] = []
    syncs = _transactions(draw, mirrored, target)
    history = History(
        length,
        tuple(target),
        _some(draw, syncs),
        mirrored[-1] if mirrored else None,
        length if mirrored == begun else None,
        exactly_once=True,
        source=tuple(records),
    )
    if draw(sometimes):
        history = _recreated(draw, history)
    return _aged(draw, history)


@st.composite
def at_least_once(draw: st.DrawFn) -> History:
    """A flow without transactions: restarts copy again, also while they copy again, and nobody need have seen it.

    Where starts of tasks are told, the producer is idempotent; elsewhere retries write batches twice.
    """
    length, records = draw(sources())
    hole_free = draw(booleans)
    if hole_free:
        records = list(range(records[0] if records else length, length))
    knows_starts = draw(booleans)
    target: list[int | None] = []
    syncs: list[tuple[int, int]] = []
    removed: set[int] = set()
    starts: list[int] = []
    position = end = draw(st.sampled_from(records)) if draw(sometimes) and records else 0
    for number in range(draw(st.integers(1, 4))):
        if number:
            # A task starts again where the one before had committed: never above what it had copied, and what is
            # committed does not go back.
            position = draw(st.integers(max(position, end - 8), end))
            old = [record for record in records if record < position]
            if old and not hole_free and draw(sometimes):
                removed |= draw(st.sets(st.sampled_from(old), max_size=3))
        end = draw(st.integers(position, length)) if draw(sometimes) else length if draw(booleans) else end
        end = max(end, position)
        starts.append(len(target))
        alive = [record for record in records if position <= record < end]
        syncs += _run(draw, alive, target, with_retries=not knows_starts)
    names = [name for name in target if name is not None]
    copied = names[starts[-1] :]
    history = History(
        length,
        tuple(target),
        _overtaken(draw, _some(draw, syncs)),
        names[-1] if names else None,
        length if end == length else None,
        exactly_once=False,
        source=tuple(records),
        removed=frozenset(removed),
        committed=draw(st.sampled_from([position - 1, *copied])) if names else None,
        starts=tuple(starts) if knows_starts else None,
        starts_known_from=draw(st.sampled_from([0, 0, 0, 1, 3])),
        is_hole_free=hole_free,
        told_hole_free=draw(st.sampled_from([True, None, False] if hole_free else [None, False])),
    )
    return _aged(draw, history)


@st.composite
def exactly_once_of_late(draw: st.DrawFn) -> History:
    """Restarts without transactions, each of them shown by the syncs, and then transactions."""
    length, records = draw(sources())
    target: list[int | None] = []
    syncs: list[tuple[int, int]] = []
    shown: set[tuple[int, int]] = set()
    position = reach = 0
    for number in range(draw(st.integers(1, 3))):
        end = max(draw(st.integers(position, length)), reach)
        alive = [record for record in records if position <= record < end]
        made = _run(draw, alive, target, with_retries=False)
        if number and made and syncs and made[0][0] <= max(s for s, _ in shown):
            shown |= {made[0]}
        elif number and made and any(made[0][0] <= s for s, _ in syncs):
            shown |= {max(syncs), made[0]}
        syncs += made
        shown |= set(made[-1:])
        reach, position = end, max(0, end - draw(st.integers(0, 8)))
    rest = [record for record in records if record >= reach]
    mirrored = rest if draw(often) else rest[: draw(st.integers(0, len(rest)))]
    syncs += _transactions(draw, mirrored, target)
    names = [name for name in target if name is not None]
    history = History(
        length,
        tuple(target),
        _some(draw, syncs, shown),
        names[-1] if names else None,
        length if mirrored == rest else None,
        exactly_once=True,
        source=tuple(records),
    )
    return _aged(draw, history)


def _transactions(draw: st.DrawFn, records: list[int], target: list[int | None]) -> list[tuple[int, int]]:
    syncs: list[tuple[int, int]] = []
    place = 0
    while place < len(records):
        batch = records[place : place + draw(st.integers(1, 6))]
        if draw(sometimes):
            target += [None] * (draw(st.integers(1, len(batch))) + 1)
        for record in batch:
            syncs.append((record, len(target)))
            target.append(record)
        target.append(None)
        place += len(batch)
    return syncs


def _run(draw: st.DrawFn, records: list[int], target: list[int | None], *, with_retries: bool) -> list[tuple[int, int]]:
    syncs: list[tuple[int, int]] = []
    place = 0
    while place < len(records):
        batch = records[place : place + draw(st.integers(1, 8))]
        times = 2 if with_retries and draw(sometimes) else 1
        for _ in range(times):
            at = len(target)
            target += batch
        syncs += [(record, at + number) for number, record in enumerate(batch)]
        place += len(batch)
    return syncs


def _some(
    draw: st.DrawFn, syncs: list[tuple[int, int]], always: set[tuple[int, int]] | None = None
) -> tuple[tuple[int, int], ...]:
    """Any of them can be missing: MM2 sends few of them, and one that waits is replaced by the next."""
    keep = draw(st.lists(sometimes if draw(booleans) else booleans, min_size=len(syncs), max_size=len(syncs)))
    return tuple(pair for pair, is_kept in zip(syncs, keep, strict=True) if is_kept or pair in (always or ()))


def _overtaken(draw: st.DrawFn, syncs: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    places = [n for n, (one, two) in enumerate(pairwise(syncs)) if one[0] < two[0]]
    if not places or not draw(sometimes):
        return syncs
    n = draw(st.sampled_from(places))
    return (*syncs[:n], syncs[n + 1], syncs[n], *syncs[n + 2 :])


def _recreated(draw: st.DrawFn, history: History) -> History:
    """The target topic was deleted, and the flow went on into a new one: records below are in no log any more."""
    if not history.syncs:
        return history
    first = history.syncs[0]
    before = sorted(draw(st.sets(st.integers(0, first[0]), max_size=4)) - {first[0]})
    dead = tuple((up, first[1] + 3 * number + draw(st.integers(0, 2))) for number, up in enumerate(before))
    target = tuple(name if name is None or name >= first[0] else None for name in history.target)
    return replace(history, syncs=(*dead, *history.syncs), target=target)


def _aged(draw: st.DrawFn, history: History) -> History:
    """Compaction of the target, never of its last record (the active segment), and retention."""
    target = list(history.target)
    data = history.data
    is_compacted = bool(data) and draw(sometimes)
    if is_compacted:
        for at in draw(st.sets(st.sampled_from(data), max_size=6)) - {data[-1]}:
            # The cleaner keeps the newest of a key: with a copy go all the earlier ones.
            target = [None if name == history.target[at] and n <= at else name for n, name in enumerate(target)]
    start = draw(st.integers(0, len(target))) if draw(sometimes) else 0
    return replace(history, target=tuple(target), log_start=start, is_compacted=is_compacted)
