"""The last N data records, whatever stands between them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from drkit.domain.kafka import Record, TopicPartition
from drkit.verification.tails import read_tails
from tests.unit.verification.memory_region import MemoryRegion

P = TopicPartition("t", 0)
Q = TopicPartition("t", 1)


def text(record: Record) -> str:
    assert record.value is not None
    return record.value.decode()


def region(**logs: list[str | None]) -> MemoryRegion:
    found = MemoryRegion("a")
    for name, values in logs.items():
        found.add(TopicPartition("t", {"p": 0, "q": 1}[name]), values)
    return found


def test_one_call_is_enough_without_markers() -> None:
    a = region(p=[f"p{i}" for i in range(100)], q=[f"q{i}" for i in range(100)])
    tails = read_tails(a, {P: 100, Q: 50}, 10, text)
    assert tails[P].items == tuple(f"p{i}" for i in range(90, 100))
    assert tails[Q].items == tuple(f"q{i}" for i in range(40, 50))
    assert len(a.reads) == 1
    assert not tails[P].reached_start


def test_only_the_partition_with_markers_is_widened_and_nothing_is_read_twice() -> None:
    inflated = [value for i in range(100) for value in (f"p{i}", None, None, None)]
    a = region(p=inflated, q=[f"q{i}" for i in range(100)])
    tails = read_tails(a, {P: 400, Q: 100}, 10, text)
    assert tails[P].items == tuple(f"p{i}" for i in range(90, 100))
    first, *wider = a.reads
    assert {one.partition for one in first} == {P, Q}
    assert {one.partition for ranges in wider for one in ranges} == {P}
    lows = [one for ranges in a.reads for one in ranges if one.partition == P]
    assert all(later.end == earlier.start for earlier, later in pairwise(lows))


def test_a_log_of_markers_is_not_read_to_its_start() -> None:
    a = region(p=["first", *([None] * 10_000)])
    tails = read_tails(a, {P: 10_001}, 10, text)
    assert tails[P].items == ()
    assert not tails[P].reached_start
    assert 10_001 - tails[P].low <= 2 * 64 * 10


def test_a_short_log_is_complete() -> None:
    a = region(p=["a", None, "b"])
    tails = read_tails(a, {P: 3}, 10, text)
    assert (tails[P].items, tails[P].reached_start, tails[P].low) == (("a", "b"), True, 0)


def test_an_open_transaction_hides_what_is_above_it() -> None:
    a = region(p=["a", "b", "c"])
    a.logs[P].open_from = 2
    assert read_tails(a, {P: 3}, 10, text)[P].items == ("a", "b")


def test_retention_is_the_start() -> None:
    a = region(p=["a", "b", "c"])
    log = a.logs[P]
    log.start, log.entries = 2, log.entries[2:]
    tails = read_tails(a, {P: 3}, 10, text)
    assert (tails[P].items, tails[P].low, tails[P].reached_start) == (("c",), 2, True)
    assert read_tails(a, {P: 1}, 10, text)[P].items == ()


values = st.lists(st.none() | st.sampled_from(["a", "b", "c"]), max_size=60)


@given(values, values, st.integers(1, 12), st.data())
def test_the_tail_is_what_filtering_the_whole_log_gives(
    p: list[str | None], q: list[str | None], count: int, data: st.DataObject
) -> None:
    a = region(p=p, q=q)
    ends = {P: data.draw(st.integers(0, len(p))), Q: data.draw(st.integers(0, len(q)))}
    tails = read_tails(a, ends, count, text)
    for partition, log in ((P, p), (Q, q)):
        model = [value for value in log[: ends[partition]] if value is not None]
        assert tails[partition].items == tuple(model[-count:])
        if tails[partition].reached_start:
            assert len(model) <= count
