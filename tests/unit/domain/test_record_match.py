"""What a record's own fingerprint decides, and what it leaves open."""

from __future__ import annotations

from collections.abc import Sequence

from drkit.domain.digests import Fingerprint
from drkit.domain.kafka import TopicPartition
from drkit.domain.offsets import Bounded, Exact, OffsetMap, Range, Tail, TargetLog
from drkit.domain.record_match import Search
from drkit.domain.samples import PositionSample

HOLES = "4 source offsets without a copy lie between two offset syncs"


def mark(offset: int, content: str) -> Fingerprint:
    return Fingerprint(offset, content.encode(), b"", is_tombstone=False, timestamp_ms=0)


def target(contents: str, begin: int = 0) -> list[Fingerprint]:
    return [mark(begin + n, content) for n, content in enumerate(contents)]


def sample(first: str | None, before: str | None, *, at: int = 8) -> PositionSample:
    return PositionSample(
        TopicPartition("t", 0),
        at,
        0,
        None if first is None else mark(at, first),
        None if before is None else mark(at - 1, before),
    )


def search(seen: PositionSample, *, is_unique: bool = True, is_mirrored: bool = True) -> Search:
    return Search(seen, Range(3, 7, 4, HOLES), (2, 8), is_unique=is_unique, is_mirrored=is_mirrored)


def find(
    seen: PositionSample, contents: Sequence[Fingerprint], *, unique: bool = True, mirrored: bool = True
) -> object:
    return search(seen, is_unique=unique, is_mirrored=mirrored).find(contents)


def test_one_match_is_the_position() -> None:
    assert find(sample("e", "d"), target("cdefgh", 2)) == Exact(4, "record match")
    assert find(sample("e", None), target("cdefgh", 2)) == Exact(4, "record match")


def test_of_several_the_neighbour_tells_which() -> None:
    assert find(sample("e", "x"), target("cedxeh", 2)) == Exact(6, "record match")


def test_several_with_the_same_neighbour_leave_the_lowest() -> None:
    assert find(sample("e", "d"), target("dedede", 2)) == Bounded(3, 4, "record match: 3 records look the same")


def test_where_copies_repeat_the_neighbour_tells_nothing() -> None:
    # The copy at 6 is the first of a replay: what is before it is not what was before it on the source.
    assert find(sample("e", "d"), target("cdexeh", 2), unique=False) == Bounded(
        4, 2, "record match: 2 records look the same"
    )
    assert find(sample("e", "x"), target("cdefgh", 2), unique=False) == Exact(4, "record match")


def test_no_match_contradicts_the_syncs() -> None:
    assert find(sample("z", "d"), target("cdefgh", 2)) == Bounded(
        3, 4, HOLES + "; contradiction: the record is not between them"
    )


def test_a_match_outside_the_bracket_is_none() -> None:
    assert find(sample("c", None), target("cdefgh", 2)) == Bounded(
        3, 4, HOLES + "; contradiction: the record is not between them"
    )


def test_a_neighbour_that_differs_contradicts_the_match() -> None:
    assert find(sample("e", "z"), target("cdefgh", 2)) == Bounded(
        3, 4, HOLES + "; contradiction: the record matches, and the one before it does not"
    )


def test_a_record_that_may_not_have_arrived() -> None:
    assert find(sample("z", "d"), target("cdefgh", 2), mirrored=False) == Bounded(
        3, 4, HOLES + "; the record is not there"
    )
    assert find(sample("e", "d"), target("cdefgh", 2), mirrored=False) == Bounded(
        4, 3, "record match: another may look the same"
    )


def test_a_position_at_the_end_of_then_is_after_the_last_record_of_then() -> None:
    assert find(sample(None, "d"), target("cdefgh", 2)) == Exact(4, "record match")
    assert find(sample(None, "d"), target("cdefgh", 2), unique=False) == Bounded(
        3, 4, HOLES + "; what the group reads next had not been written when the source was seen"
    )


def test_a_map_names_what_has_to_be_read() -> None:
    offsets = OffsetMap([(0, 0), (10, 6)], TargetLog(0, 7), Tail(None, None), exactly_once=True)
    found = offsets.search(sample("e", "d", at=8), range(1, 6))
    assert found is not None
    assert (found.bracket.low, found.bracket.high, found.request) == (4, 6, (0, 7))
    assert found.is_unique
    assert found.is_mirrored
    assert offsets.search(sample("e", "d", at=1), []) is None, "decided without"
    compacted = OffsetMap([(0, 0), (10, 6)], TargetLog(0, 7), Tail(None, None), exactly_once=True, is_compacted=True)
    assert compacted.search(sample("e", "d", at=8), range(1, 6)) is None, "the copy may be gone, and an equal one left"


def test_a_record_below_the_first_that_is_known_to_be_mirrored_is_not_looked_for() -> None:
    # The flow began somewhere between 0 and 10: what looks like 5 may be another record, and 7 be lost behind it.
    offsets = OffsetMap([(10, 4), (20, 9)], TargetLog(0, 10), Tail(None, None), exactly_once=True)
    assert isinstance(offsets.translate(5, range(10)), Bounded)
    assert offsets.search(sample("e", None, at=5), range(10)) is None
    assert offsets.search(sample("e", None, at=15), range(10)) is not None
