"""Which of several copies are of one record, and when the last one is the position."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from drkit.domain.anchors import Anchors
from drkit.domain.copies import Copies, copies_among, to_be_known
from drkit.domain.course import Course, FlowFacts
from drkit.domain.digests import Fingerprint
from drkit.domain.kafka import TopicPartition
from drkit.domain.offsets import Bounded, Exact, OffsetMap, Placed, Range, Tail, TargetLog
from drkit.domain.record_match import Search
from drkit.domain.samples import Alone, PositionSample, RecordMark, alone_among

RECORDS = [n for n in range(40) if n % 4 != 3]
"""Offsets of the source's records; every fourth is a marker."""
KILLED_AT, WENT_ON_AT = 6, 3
TARGET = RECORDS[:KILLED_AT] + RECORDS[WENT_ON_AT:]
"""The source offset of every copy: 0 1 2 4 5 6, and then 4 5 6 8 and so on."""
EVERYWHERE = Alone(0, 40)


def anchors(syncs: Sequence[tuple[int, int]]) -> Anchors:
    """With the two starts that there were: at the beginning, and at target offset 6."""
    found = Anchors()
    found.know_starts()
    found.add_start()
    found.extend(pair for pair in syncs if pair[1] < KILLED_AT)
    found.add_start()
    found.extend(pair for pair in syncs if pair[1] >= KILLED_AT)
    return found


def course(syncs: Sequence[tuple[int, int]]) -> Course:
    return Course(anchors(syncs), len(TARGET), FlowFacts(), is_complete=True)


WITHOUT_THE_START = ((0, 0), (8, 9), (38, 32))
"""The sync of the first copy after the start was dropped: the restart lies somewhere between target offsets 0 and 9."""
WITH_THE_START = ((0, 0), (4, 6), (38, 32))


def mark(offset: int, name: int, alike: Iterable[int] = ()) -> Fingerprint:
    digest = b"same" if name in set(alike) else str(name).encode()
    return Fingerprint(offset, digest, b"", is_tombstone=False, timestamp_ms=0)


def placed(
    syncs: Sequence[tuple[int, int]],
    upstream: int,
    alone: Alone | None,
    alike: Sequence[int] = (),
    end: int | None = None,
) -> Placed:
    """The verdict by the record, of a mirror that was stopped with ``end`` copies made."""
    target = TARGET[:end]
    log, tail = TargetLog(0, len(target)), Tail(target[-1], len(target) - 1)
    offsets = OffsetMap(anchors([pair for pair in syncs if pair[1] < len(target)]), log, tail)
    at = bisect_left(RECORDS, upstream)
    first, before = (mark(RECORDS[n], RECORDS[n], alike) for n in (at, at - 1))
    search = offsets.search(
        PositionSample(TopicPartition("t", 0), upstream, 0, first, before, alone), range(len(target))
    )
    assert search is not None
    begin, stop = search.request
    return search.find([mark(n, target[n], alike) for n in range(begin, stop)])


def test_a_stretch_that_cannot_hold_the_record_holds_another() -> None:
    # 4 was copied at 3 and at 6; whatever looks like it at 20 is behind 8.
    assert copies_among(course(WITHOUT_THE_START), [3, 6, 20], (0, 33), 4, EVERYWHERE) == Copies([3, 6], [])
    assert copies_among(course(WITHOUT_THE_START), [3, 6, 20], (0, 33), 4, None) == Copies([], [3, 6])


def test_a_sync_says_what_it_is_about() -> None:
    assert copies_among(course(WITH_THE_START), [3, 6], (0, 33), 4, None) == Copies([6], [3])
    assert copies_among(course(WITH_THE_START), [3, 6], (0, 33), 5, EVERYWHERE) == Copies([3], [])


@pytest.mark.parametrize(
    ("alone", "certain"),
    [
        (Alone(5, 38), [12, 20]),
        (Alone(5, 21), [12]),
        (Alone(9, 21), [12]),
        (Alone(10, 38), [20]),
        (Alone(10, 37), []),
        (None, []),
    ],
)
def test_copied_once_and_in_order_the_first_or_the_last_is_the_record(alone: Alone | None, certain: list[int]) -> None:
    # Between the syncs of 8 and of 38 everything was copied once: two that look the same are two records there.
    found = copies_among(course(WITHOUT_THE_START), [12, 20], (0, 33), 12, alone)
    assert found == (Copies(certain[:1], []) if len(certain) == 1 else Copies([], [12, 20]))


def test_what_was_not_read_may_hold_the_record() -> None:
    found = course(WITHOUT_THE_START)
    assert copies_among(found, [12], (10, 33), 12, None) == Copies([12], [])
    assert copies_among(found, [12], (11, 33), 12, None) == Copies([], [12])
    assert copies_among(found, [12], (10, 31), 12, None) == Copies([], [12])
    assert copies_among(found, [12, 20], (11, 33), 12, Alone(9, 21)) == Copies([], [12, 20])


def test_how_much_has_to_be_known() -> None:
    # From where the start can have been, to where the mirror is past all that was copied before it.
    assert to_be_known(course(WITHOUT_THE_START), [3, 6], 4) == Alone(0, 39)
    assert to_be_known(course(WITHOUT_THE_START), [12, 20], 12) == Alone(9, 38)
    assert to_be_known(course(WITH_THE_START), [3, 6], 4) == Alone(0, 39)


def test_the_last_copy_is_the_position_once_nothing_looks_like_it_near_it() -> None:
    looks = "record match: 2 records look the same"
    assert placed(WITHOUT_THE_START, 4, None) == Bounded(3, 3, looks)
    assert placed(WITHOUT_THE_START, 4, Alone(0, 38)) == Bounded(3, 3, looks), "one offset too few"
    assert placed(WITHOUT_THE_START, 4, Alone(0, 39)) == Exact(6, "record match: its last copy")
    assert placed(WITHOUT_THE_START, 3, Alone(0, 39)) == Exact(6, "record match: its last copy")


def test_the_copy_that_a_sync_names_needs_nobody_to_have_looked() -> None:
    assert placed(WITH_THE_START, 3, None) == Exact(6, "record match: its last copy")


def test_what_may_be_a_later_copy_keeps_the_certain_one_from_being_the_last() -> None:
    named = ((0, 0), (4, 3), (8, 9), (38, 32))
    assert placed(named, 3, None) == Bounded(3, 3, "record match: 2 records look the same")
    assert placed(named, 3, Alone(0, 39)) == Exact(6, "record match: its last copy")


def test_equal_records_are_not_taken_for_copies() -> None:
    # 8 looks like 4: the last that looks the same is at 9, and 5 and 6 would be lost there.
    found = placed(((0, 0), (9, 10), (38, 32)), 4, Alone(0, 8), alike=[4, 8])
    assert isinstance(found, Bounded)
    assert found.downstream == 3


def test_an_unfinished_replay_decides_nothing() -> None:
    # Killed again at 7: behind the last copy of 4 is nothing, and 5 and 6 are below it.
    found = placed(((0, 0), (1, 1)), 4, EVERYWHERE, end=7)
    assert isinstance(found, Bounded)
    assert found.downstream <= 4


def test_what_looks_like_the_record_and_cannot_be_it_contradicts() -> None:
    sample = PositionSample(TopicPartition("t", 0), 28, 0, mark(28, 28), None, EVERYWHERE)
    bracket = Range(12, 17, 5, "counted")
    known = course(((0, 0), (8, 9), (20, 18), (38, 32)))
    search = Search(sample, bracket, (9, 18), is_unique=False, is_mirrored=True, course=known)
    target = [mark(n, 28 if n in (14, 16) else n) for n in range(9, 18)]
    reason = "counted; contradiction: what looks like the record was not copied from near it"
    assert search.find(target) == Bounded(12, 5, reason)


def test_alone_up_to_the_nearest_that_looks_the_same() -> None:
    log = [RecordMark(n, b"x" if n in (2, 7, 11) else bytes([n])) for n in range(14)]
    assert alone_among(log, log[7], Alone(0, 14)) == Alone(3, 11)
    assert alone_among(log[5:9], log[7], Alone(5, 9)) == Alone(5, 9)
    assert alone_among(log, log[2], Alone(0, 14)) == Alone(0, 7)
    assert alone_among(log, log[11], Alone(1, 14)) == Alone(8, 14)


def test_a_later_look_adds_and_takes_nothing_away() -> None:
    at, p = RecordMark(5, b"5"), TopicPartition("t", 0)
    seen = PositionSample(p, 4, 1, at, None, Alone(2, 6))
    assert PositionSample(p, 4, 1).joined(replace(seen, at_ms=9)) == seen, "when the position was seen first stays"
    assert seen.joined(PositionSample(p, 4, 9, at, None, Alone(3, 9))) == PositionSample(p, 4, 1, at, None, Alone(2, 9))
    assert seen.joined(None) is seen
    assert seen.joined(PositionSample(p, 4, 9, at)) is seen
    gone = PositionSample(p, 4, 9, RecordMark(8, b"8"), None, Alone(8, 20))
    assert seen.joined(gone) is seen, "retention deleted the record: what is first now is not what was first then"
