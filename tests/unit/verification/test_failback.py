"""The way back, planned from an old side in memory."""

from __future__ import annotations

from drkit.domain.failback import Divergence, Way
from drkit.domain.failback_steps import Places, describe
from drkit.domain.kafka import TopicPartition
from drkit.domain.lag import AtMost, Exactly, NotKnown
from drkit.domain.lineage import Epoch, EpochState, PartitionCut
from drkit.domain.mirror_flow import Flow
from drkit.verification.failback import FailbackPlanner, FailbackSettings
from tests.fakes.clock import FakeClock
from tests.unit.verification.memory_region import MemoryRegion

P, Q = TopicPartition("shop.orders", 0), TopicPartition("shop.orders", 1)
SETTINGS = FailbackSettings(
    Flow("shop", "staging", "tokyo", "taipei"), Places("taipei:9092", None, None), counted_offsets=100
)
EPOCH = Epoch(
    "run-1",
    "taipei",
    "tokyo",
    "disaster",
    "2026-01-01T00:00:00+00:00",
    EpochState.IN_FORCE,
    {P: PartitionCut(None, 4, 6), Q: PartitionCut(None, None, 0)},
)


def region() -> MemoryRegion:
    old = MemoryRegion("taipei")
    old.add(P, ["r"] * 5)
    old.add(Q, [])
    return old


def planner(old: MemoryRegion | None) -> FailbackPlanner:
    return FailbackPlanner(old, FakeClock(), SETTINGS)


def test_markers_above_the_last_mirrored_record_are_no_orphans() -> None:
    old = region()
    old.add(P, [None, None])
    plan = planner(old).plan(EPOCH, fence_holds=True)
    assert plan.orphans == Exactly(0)
    assert plan.topics[0].way is Way.DELTA
    assert plan.partitions[0].old_end == 7
    assert (plan.run_id, plan.mode, plan.planned_at) == ("run-1", "disaster", "2026-01-01T00:00:00+00:00")


def test_records_above_it_are_counted() -> None:
    old = region()
    old.add(P, ["o", None, "o"])
    old.add(Q, ["o"])
    plan = planner(old).plan(EPOCH, fence_holds=True)
    assert [one.orphans for one in plan.partitions] == [Exactly(2), Exactly(1)]
    assert plan.topics[0].way is Way.REBUILD


def test_many_are_bounded_and_not_read() -> None:
    old = region()
    old.add(P, ["o"] * 101)
    plan = planner(old).plan(EPOCH, fence_holds=True)
    assert plan.partitions[0].orphans == AtMost(101)
    assert old.reads == []


def test_an_open_transaction_is_not_waited_for() -> None:
    old = region()
    old.add(P, ["o", "o"])
    old.logs[P].open_from = 6
    assert planner(old).plan(EPOCH, fence_holds=True).partitions[0].orphans == AtMost(2)


def test_a_log_that_ends_before_the_last_mirrored_record_is_unknown() -> None:
    old = region()
    old.logs[P].entries = old.logs[P].entries[:2]
    partition = planner(old).plan(EPOCH, fence_holds=True).partitions[0]
    assert partition.divergence is Divergence.UNKNOWN
    assert "recreated" in describe(partition)


def test_a_topic_that_is_gone_is_rebuilt() -> None:
    old = region()
    del old.logs[P], old.logs[Q]
    plan = planner(old).plan(EPOCH, fence_holds=True)
    assert plan.topics[0].way is Way.REBUILD
    assert all(one.is_absent for one in plan.partitions)


def test_a_silent_old_side_is_planned_for_not_an_error() -> None:
    old = region()
    old.die()
    for one in (old, None):
        plan = planner(one).plan(EPOCH, fence_holds=False)
        assert isinstance(plan.orphans, NotKnown)
        assert {partition.divergence for partition in plan.partitions} == {Divergence.UNKNOWN}
        assert plan.steps[0].commands == ("drkit fence put taipei",)
