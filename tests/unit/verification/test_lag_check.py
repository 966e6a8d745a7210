"""The mirror's lag, measured on a source and a Connect cluster in memory."""

from __future__ import annotations

import pytest

from drkit.domain.kafka import TopicPartition
from drkit.domain.lag import AtMost, Exactly, NotKnown
from drkit.domain.scope import NameFilter
from drkit.errors import UnreachableError
from drkit.verification.lag_check import LagCheck
from tests.fakes.clock import FakeClock
from tests.unit.verification.memory_region import MemoryConnect, MemoryRegion

P = TopicPartition("shop.orders", 0)
OTHER = TopicPartition("other", 0)


def check(source: MemoryRegion, connect: MemoryConnect) -> LagCheck:
    return LagCheck(source, connect, "source", NameFilter((r"shop\..*",)), FakeClock())


@pytest.fixture
def now_ms() -> int:
    return int(FakeClock().now().timestamp() * 1000)


def test_markers_are_not_counted_and_the_oldest_record_gives_the_age(now_ms: int) -> None:
    source = MemoryRegion("a")
    source.add(P, ["x", None, "y", None, "z", None], at_ms=now_ms - 1502)
    source.add(OTHER, ["not mirrored"])
    lag = check(source, MemoryConnect({P: 0})).run()
    assert [one.partition for one in lag.partitions] == [P]
    assert lag.records == Exactly(2)
    assert lag.seconds == 1.5


def test_a_mirror_far_behind_is_bounded_and_only_its_beginning_is_read(now_ms: int) -> None:
    source = MemoryRegion("a")
    source.add(P, ["x"] * 10_000, at_ms=now_ms - 20_000)
    lag = check(source, MemoryConnect({P: 999})).run()
    assert lag.records == AtMost(9_000)
    assert lag.seconds == 19.0
    assert sum(one.end - one.start for ranges in source.reads for one in ranges) == 200


def test_an_open_transaction_is_not_waited_for() -> None:
    source = MemoryRegion("a")
    source.add(P, ["x", "y", "z"])
    source.logs[P].open_from = 1
    assert check(source, MemoryConnect({P: 0})).run().records == AtMost(2)


def test_without_counting_nothing_is_read() -> None:
    source = MemoryRegion("a")
    source.add(P, ["x", None])
    lag = check(source, MemoryConnect({P: 0})).run(counting=False)
    assert (lag.records, lag.seconds, source.reads) == (AtMost(1), None, [])


def test_a_silent_source_makes_the_lag_unknown_and_silent_connect_raises() -> None:
    source, connect = MemoryRegion("a"), MemoryConnect({P: 41, OTHER: 1})
    source.die()
    with pytest.raises(UnreachableError):
        check(source, connect).run()
    lag = check(source, connect).run_or_seen()
    assert [one.partition for one in lag.partitions] == [P]
    assert isinstance(lag.records, NotKnown)
    connect.failure = UnreachableError("Connect does not answer")
    with pytest.raises(UnreachableError, match="Connect"):
        check(source, connect).run_or_seen()


def test_a_source_known_to_be_silent_is_not_asked() -> None:
    source = MemoryRegion("a")
    source.die()
    check(source, MemoryConnect({P: 41})).run_or_seen(is_silent=True)
    assert source.calls == []
