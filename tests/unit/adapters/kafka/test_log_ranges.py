"""Which offsets are read, and which of those were asked for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drkit.adapters.kafka.log_reader import Wanted, merged
from drkit.domain.kafka import TopicPartition
from drkit.ports import ReadRange

PARTITIONS = [TopicPartition("orders", number) for number in range(2)]
ranges = st.lists(st.builds(ReadRange, st.sampled_from(PARTITIONS), st.integers(0, 50), st.integers(0, 50)), max_size=8)


def offsets(some: list[ReadRange], partition: TopicPartition) -> set[int]:
    return {offset for one in some if one.partition == partition for offset in range(one.start, one.end)}


@given(ranges)
def test_just_what_was_asked_for_is_wanted(asked: list[ReadRange]) -> None:
    wanted = Wanted(asked)
    for partition in merged(asked):
        held = {offset for offset in range(60) if wanted.holds(partition, offset)}
        assert held == offsets(asked, partition)
        for stop in range(1, 60, 7):
            assert list(wanted.among(partition, range(stop))) == sorted(held & set(range(stop)))
            assert list(wanted.among(partition, range(stop, 60))) == sorted(held & set(range(stop, 60)))


@given(ranges, st.integers(0, 20))
def test_ranges_are_read_in_order_without_overlap_and_with_small_gaps_closed(asked: list[ReadRange], gap: int) -> None:
    for partition, queue in merged(asked, gap=gap).items():
        assert offsets(asked, partition) <= offsets(list(queue), partition)
        assert all(later.start - earlier.end > gap for earlier, later in zip(queue, list(queue)[1:], strict=False))
        assert {one.start for one in queue} <= offsets(asked, partition)
        assert {one.end - 1 for one in queue} <= offsets(asked, partition)
