"""Consumers: a bounded courtesy to reach the end, then a fence, and final positions that stand still."""

from __future__ import annotations

import pytest

from drkit.domain.kafka import TopicPartition
from drkit.engine.step import NotYetError
from drkit.errors import RefusedError
from drkit.steps.fence_consumers import DrainConsumers, FenceConsumers
from tests.fakes.service import APPLICATION, ORDERS, SOURCE, FakeService

GROUP = "shop.staging.billing"


def _fence(service: FakeService) -> FenceConsumers:
    return FenceConsumers(service.world, service.world.regions[SOURCE])


def _put(service: FakeService) -> None:
    step, context = _fence(service), service.context()
    groups = step.observe(context)
    assert not step.is_satisfied(context, groups)
    step.apply(context, groups)


@pytest.fixture
def partition(service: FakeService) -> TopicPartition:
    """Ten records, of which one group has read four."""
    partition = service.topic()
    service.write(partition, 10)
    service.source.cluster.commit(GROUP, {partition: 4})
    return partition


def test_what_groups_have_not_committed_is_counted(service: FakeService, partition: TopicPartition) -> None:
    step, context = DrainConsumers(service.world, SOURCE), service.context()
    service.source.cluster.commit(service.settings.canary_group, {partition: 0})
    service.source.cluster.commit("elsewhere", {TopicPartition("elsewhere", 0): 0})
    assert step.observe(context) == 6
    assert not step.is_satisfied(context, 6)
    service.source.cluster.commit(GROUP, {partition: 12})
    assert step.observe(context) == 0
    assert step.is_satisfied(context, 0)


def test_the_wait_ends_when_nothing_moves(service: FakeService, partition: TopicPartition) -> None:
    step, context = DrainConsumers(service.world, SOURCE), service.context()
    step.apply(context, 6)
    assert service.clock.monotonic() - 1000 < service.settings.timeouts.consumers_seconds
    assert step.confirm(context) == {"uncommitted_records": 6}


def test_the_wait_goes_on_while_positions_move_and_is_bounded(service: FakeService, partition: TopicPartition) -> None:
    log = service.source.cluster.logs[partition]

    def read_one_and_write_one() -> None:
        service.source.cluster.commit(GROUP, {partition: service.source.cluster.committed[GROUP][partition] + 1})
        service.source.cluster.write(partition, b"x")

    service.while_waiting(read_one_and_write_one)
    step, context = DrainConsumers(service.world, SOURCE), service.context()
    step.apply(context, 6)
    assert log.end > 11
    seconds = service.settings.timeouts.consumers_seconds
    assert service.clock.monotonic() - 1000 == pytest.approx(seconds, abs=0.2)


def test_commits_are_refused_and_the_final_positions_are_read(service: FakeService, partition: TopicPartition) -> None:
    service.source.cluster.commit("shop.staging.elsewhere-only", {TopicPartition("elsewhere", 0): 3})
    service.source.cluster.commit("analytics", {partition: 7})
    _put(service)
    assert not service.source.cluster.is_allowed(APPLICATION, "read", "group", GROUP)
    assert not service.source.cluster.is_allowed(APPLICATION, "read", "group", "analytics")
    assert service.source.cluster.is_allowed("User:mirror", "read", "group", GROUP)
    evidence = _fence(service).confirm(service.context())
    assert evidence["groups"] == 2
    assert evidence["committed"] == {"analytics": {ORDERS: {"0": 7}}, GROUP: {ORDERS: {"0": 4}}}
    _put(service)
    assert _fence(service).compensate(service.context())["removed"] > 0
    assert service.source.cluster.acls == set()


def test_a_last_commit_behind_the_probe_is_in_the_positions(service: FakeService, partition: TopicPartition) -> None:
    _put(service)
    reads = iter([5, 6])
    service.source.on_next(
        "committed_offsets",
        *(lambda: service.source.cluster.commit(GROUP, {partition: next(reads)}) for _ in range(2)),
    )
    evidence = _fence(service).confirm(service.context())
    assert evidence["committed"] == {GROUP: {ORDERS: {"0": 6}}}


def test_positions_must_stand_still_for_some_time(service: FakeService, partition: TopicPartition) -> None:
    """A group whose principal the fence does not list commits now and then."""
    _put(service)
    late = iter([5])
    service.while_waiting(lambda: service.source.cluster.commit(GROUP, {partition: next(late, 5)}))
    began = service.clock.monotonic()
    assert _fence(service).confirm(service.context())["committed"] == {GROUP: {ORDERS: {"0": 5}}}
    assert service.clock.monotonic() - began == pytest.approx(0.5)


def test_a_position_that_an_open_transaction_holds_is_not_final(
    service: FakeService, partition: TopicPartition
) -> None:
    _put(service)
    service.source.cluster.pending[GROUP] = {partition: 9}
    with pytest.raises(RefusedError, match=GROUP):
        _fence(service).confirm(service.context())


def test_groups_that_go_on_committing_stop_the_run(service: FakeService, partition: TopicPartition) -> None:
    _put(service)

    def commit_again() -> None:
        service.clock.sleep(1)
        service.source.cluster.commit(GROUP, {partition: service.source.cluster.committed[GROUP][partition] + 1})

    service.source.on_next("committed_offsets", *[commit_again] * 60)
    with pytest.raises(NotYetError, match=f"still commit in {SOURCE} behind the fence: {GROUP}"):
        _fence(service).confirm(service.context())


def test_a_fence_that_does_not_bind_drkit_is_no_proof(service: FakeService, partition: TopicPartition) -> None:
    with pytest.raises(NotYetError, match="still accepts drkit's own commit"):
        _fence(service).confirm(service.context())
    assert service.clock.monotonic() - 1000 >= service.settings.timeouts.fence_seconds


def test_without_groups_there_is_nothing_to_fence(service: FakeService) -> None:
    step, context = _fence(service), service.context()
    assert step.is_satisfied(context, step.observe(context))
    assert step.confirm(context) == {"groups": 0, "committed": {}}
    assert service.source.cluster.acls == set()
