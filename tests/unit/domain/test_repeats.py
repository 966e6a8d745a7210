"""Repeats told apart by the target's records; the property test has the histories."""

from __future__ import annotations

from collections.abc import Sequence

from drkit.domain.digests import Fingerprint
from drkit.domain.offsets import Bounded, Exact, OffsetMap, Tail, TargetLog
from drkit.domain.repeats import Positions, Repeats

SYNCS = [(0, 0), (9, 12)]
"""Two: nobody knows that the source has no holes."""
STOPPED = Tail(9, 12, None, is_final=True, in_order=False)


COPIES = [0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7, 8, 9]


def marks(names: Sequence[int]) -> list[Fingerprint]:
    """What the target holds."""
    return [Fingerprint(at, bytes([one]), b"", is_tombstone=False, timestamp_ms=0) for at, one in enumerate(names)]


def told_apart(repeats: Repeats, names: Sequence[int]) -> Positions | None:
    """By what the target holds within what was asked for."""
    start, end = repeats.request
    return repeats.told_apart(marks(names)[start:end])


def past(offsets: OffsetMap, names: Sequence[int]) -> OffsetMap | None:
    """The map once the target's records have shown that the mirror got past its restarts."""
    proof = offsets.proof
    assert proof is not None
    return offsets.once_past() if proof.holds(marks(names)) else None


def killed(names: Sequence[int] = COPIES) -> Repeats:
    """What is to be read about 4, which was copied, as were all up to 5, and once more from 3 on."""
    offsets = OffsetMap(SYNCS, TargetLog(0, len(names)), STOPPED)
    assert isinstance(offsets.translate(4), Bounded)
    known = past(offsets, names)
    assert known is not None
    repeats = known.repeats(4)
    assert repeats is not None
    return repeats


def test_few_syncs_are_enough_where_there_are_as_many_records_as_offsets() -> None:
    repeats = killed()
    assert repeats.request == (0, 13)
    positions = told_apart(repeats, COPIES)
    assert positions is not None
    assert [positions.of(upstream).downstream for upstream in range(10)] == [0, 1, 2, 6, 7, 8, 9, 10, 11, 12]
    assert isinstance(positions.of(4), Exact)


def test_a_hole_is_seen_even_where_a_repeat_from_below_fills_it() -> None:
    # Offset 7 is none, and 20 stands for what lies below the first pair.
    assert told_apart(killed(), [0, 1, 2, 3, 4, 5, 20, 3, 4, 5, 6, 8, 9]) is None
    assert told_apart(killed(), [0, 1, 2, 3, 4, 5, 4, 3, 4, 5, 6, 8, 9]) is None


def test_equal_records_are_not_told_apart() -> None:
    assert told_apart(killed(), [0, 1, 1, 3, 4, 5, 3, 4, 5, 6, 7, 8, 9]) is None
    assert told_apart(killed(), [0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7, 9, 9]) is None


def test_a_record_that_looks_like_an_earlier_one_may_lie_beyond_the_last_pair() -> None:
    """Copied up to 10, which looks like 4, and from 5 on once more: the only copy of 4 is the first of the two."""
    names = [*range(10), 4, *range(5, 10)]
    offsets = OffsetMap([(0, 0), (9, 15)], TargetLog(0, 16), Tail(9, 15, None, is_final=True, in_order=False))
    assert past(offsets, names) is None
    repeats = offsets.once_past().repeats(4)
    assert repeats is not None
    assert told_apart(repeats, names) is None


def test_a_mirror_that_is_not_past_what_it_had_copied_is_not_taken_for_one_that_is() -> None:
    """Copied up to 30, and from 20 to 23 once more: 24 to 30 have been copied once."""
    syncs = [*((one, one) for one in range(31)), (21, 32), (23, 34)]
    offsets = OffsetMap(syncs, TargetLog(0, 35), Tail(23, 34, None, is_final=True, in_order=False))
    assert isinstance(offsets.translate(22), Bounded)
    assert offsets.proof is None


def test_what_was_removed_from_the_target_cannot_show_anything() -> None:
    assert OffsetMap(SYNCS, TargetLog(1, 13), STOPPED).proof is not None
    assert OffsetMap(SYNCS, TargetLog(2, 13), STOPPED).proof is None
    assert OffsetMap(SYNCS, TargetLog(0, 13), STOPPED, is_compacted=True).proof is None


def test_before_the_first_sync_a_mirror_may_have_come_further_too() -> None:
    """Began at 10, came to 14, began at 10 again, and at 11: 13 and 14 have been copied once."""
    offsets = OffsetMap([(10, 5), (12, 8)], TargetLog(0, 9), Tail(12, 8, None, is_final=True, in_order=False))
    assert offsets.proof is not None
    assert offsets.proof.intervals == ((0, 5), (6, 8))
    assert past(offsets, [10, 11, 12, 13, 14, 10, 11, 11, 12]) is None
