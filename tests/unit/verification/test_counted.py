"""What was read of the target before is not read again, and never trusted where the log may be another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.domain.kafka import LogRange, TopicPartition
from drkit.ports import ReadRange
from drkit.verification.counted import CountedLogs, joined, without
from tests.fakes.kafka import FakeKafka

T0, T1 = TopicPartition("orders", 0), TopicPartition("orders", 1)
END = 60

bounds = st.lists(st.tuples(st.integers(0, END), st.integers(0, END)), max_size=6)
calls = st.lists(st.tuples(bounds, st.integers(0, 10), st.integers(0, 12)), min_size=1, max_size=5)


class Watched(FakeKafka):
    """Remembers which ranges were read."""

    def __init__(self) -> None:
        super().__init__("b")
        self.read_ranges: list[ReadRange] = []

    def data_offsets(self, ranges: Sequence[ReadRange]) -> Mapping[TopicPartition, Sequence[int]]:
        self.read_ranges += ranges
        return super().data_offsets(ranges)


@pytest.fixture
def target() -> Watched:
    """Ten records in each of two partitions, the sixth offset of the first a marker."""
    kafka = Watched()
    kafka.cluster.create("orders", 2)
    kafka.cluster.begin(T0, *[b"0"] * 5).commit()
    kafka.cluster.write(T0, *[b"1"] * 4)
    kafka.cluster.write(T1, *[b"2"] * 10)
    return kafka


def offsets(counted: CountedLogs, *ranges: ReadRange) -> dict[TopicPartition, list[int]]:
    return {partition: list(found) for partition, found in counted.data_offsets(ranges).items()}


def covered(some: Sequence[tuple[int, int]]) -> set[int]:
    return {offset for start, end in some for offset in range(start, end)}


def test_what_was_read_is_not_read_again(target: Watched) -> None:
    counted = CountedLogs(target)
    assert offsets(counted, ReadRange(T0, 3, 8), ReadRange(T1, 0, 4)) == {T0: [3, 4, 6, 7], T1: [0, 1, 2, 3]}
    target.read_ranges.clear()
    assert offsets(counted, ReadRange(T0, 2, 9), ReadRange(T1, 1, 3)) == {T0: [2, 3, 4, 6, 7, 8], T1: [1, 2]}
    assert target.read_ranges == [ReadRange(T0, 2, 3), ReadRange(T0, 8, 9)]
    target.read_ranges.clear()
    assert offsets(counted, ReadRange(T0, 2, 9)) == {T0: [2, 3, 4, 6, 7, 8]}
    assert target.read_ranges == []
    assert offsets(counted) == {}


def test_what_a_transaction_hid_is_read_once_it_is_decided(target: Watched) -> None:
    counted = CountedLogs(target)
    transaction = target.cluster.begin(T0, b"3")
    target.cluster.write(T0, b"4")
    assert offsets(counted, ReadRange(T0, 8, 99)) == {T0: [8, 9]}
    transaction.commit()
    assert offsets(counted, ReadRange(T0, 8, 99)) == {T0: [8, 9, 10, 11]}


def test_a_topic_that_was_made_anew_is_read_anew(target: Watched) -> None:
    counted = CountedLogs(target)
    assert offsets(counted, ReadRange(T0, 0, 9)) == {T0: [0, 1, 2, 3, 4, 6, 7, 8]}
    target.cluster.drop("orders")
    target.cluster.create("orders", 2)
    target.cluster.write(T0, *[b"5"] * 12)
    assert offsets(counted, ReadRange(T0, 0, 9)) == {T0: [*range(9)]}


def test_a_log_that_was_cut_is_read_anew(target: Watched) -> None:
    counted = CountedLogs(target)
    assert offsets(counted, ReadRange(T0, 4, 10)) == {T0: [4, 6, 7, 8, 9]}
    del target.cluster.logs[T0].entries[5:]
    target.cluster.write(T0, b"6")
    assert offsets(counted, ReadRange(T0, 4, 10)) == {T0: [4, 5]}


def test_of_a_compacted_topic_nothing_is_kept(target: Watched) -> None:
    counted = CountedLogs(target)
    target.cluster.configs["orders"]["cleanup.policy"] = "compact"
    assert offsets(counted, ReadRange(T1, 0, 9)) == {T1: [*range(9)]}
    target.cluster.logs[T1].compact_away(3)
    assert offsets(counted, ReadRange(T1, 0, 9)) == {T1: [0, 1, 2, 4, 5, 6, 7, 8]}


def test_what_retention_deleted_is_left_out(target: Watched) -> None:
    counted = CountedLogs(target)
    assert offsets(counted, ReadRange(T1, 0, 9)) == {T1: [*range(9)]}
    target.cluster.logs[T1].delete_before(4)
    assert offsets(counted, ReadRange(T1, 0, 9)) == {T1: [4, 5, 6, 7, 8]}


@given(calls, st.sets(st.integers(0, END - 1)))
def test_it_answers_as_the_log_itself_does(
    asked: list[tuple[list[tuple[int, int]], int, int]], holes: set[int]
) -> None:
    target = Watched()
    target.cluster.create("orders")
    counted = CountedLogs(target)
    for some, more, deleted in asked:
        log = target.cluster.logs[T0]
        for _ in range(more):
            target.cluster.write(T0, b"x")
            if log.end - 1 in holes:
                log.punch(log.end - 1)
        if log.start < deleted <= log.end:
            log.delete_before(deleted)
        target.read_ranges.clear()
        kept = counted.data_offsets([ReadRange(T0, *one) for one in some])
        for start, end in some:
            (direct,) = FakeKafka("b", target.cluster).data_offsets([ReadRange(T0, start, end)]).values()
            assert [offset for offset in kept[T0] if start <= offset < end] == list(direct)


@given(bounds, bounds, st.integers(0, END), st.integers(0, END))
def test_bounds_are_joined_and_taken_away(
    some: list[tuple[int, int]], others: list[tuple[int, int]], start: int, stable_end: int
) -> None:
    log = LogRange(start, END, stable_end)
    one, other = joined(some, log), joined(others, log)
    assert covered(one) == covered(some) & set(range(start, stable_end))
    assert all(earlier[1] < later[0] for earlier, later in pairwise(one))
    left = without(one, other)
    assert covered(left) == covered(one) - covered(other)
    assert sum(end - begin for begin, end in left) == len(covered(left))
