"""The producers' fence: put once, proved by a refusal and by logs that stand still, lifted without a trace."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drkit.domain.kafka import Acl, TopicPartition
from drkit.engine.step import Mode, NotYetError
from drkit.errors import DrkitError, RefusedError, UnreachableError
from drkit.steps.fence_producers import FenceProducers
from tests.fakes.scripted import Fault
from tests.fakes.service import APPLICATION, ORDERS, SOURCE, FakeService, offsets

FOREIGN = Acl("topic", "other", "literal", "User:x", "*", "write", "deny")


def _step(service: FakeService) -> FenceProducers:
    return FenceProducers(service.world, service.world.regions[SOURCE])


def _put(service: FakeService, mode: Mode = Mode.PLANNED) -> None:
    step, context = _step(service), service.context(mode)
    observation = step.observe(context)
    assert not step.is_satisfied(context, observation)
    step.apply(context, observation)


def test_writes_are_refused_and_the_ends_are_recorded(service: FakeService) -> None:
    service.write(service.topic(), 3)
    _put(service)
    cluster = service.source.cluster
    assert not cluster.is_allowed(APPLICATION, "write", "topic", ORDERS)
    assert cluster.is_allowed(APPLICATION, "read", "topic", ORDERS)
    assert cluster.is_allowed("User:mirror", "write", "topic", ORDERS)
    evidence = _step(service).confirm(service.context())
    assert evidence["fenced"] is True
    assert evidence["probes"] == 1
    assert evidence["ends"] == {ORDERS: {"0": 3}}


def test_a_fence_that_is_there_is_not_put_again_and_part_of_one_is_completed(service: FakeService) -> None:
    service.topic()
    _put(service)
    whole = set(service.source.cluster.acls)
    _put(service)
    assert service.source.cluster.acls == whole
    gone = next(acl for acl in whole if acl.principal == APPLICATION)
    service.source.cluster.acls.discard(gone)
    _put(service)
    assert service.source.cluster.acls == whole


def test_lifting_takes_drkits_own_away_and_nothing_else(service: FakeService) -> None:
    service.topic()
    service.source.cluster.acls.add(FOREIGN)
    step = _step(service)
    _put(service)
    assert len(service.source.cluster.acls) > 1
    assert step.compensate(service.context())["removed"] > 0
    assert service.source.cluster.acls == {FOREIGN}
    assert step.compensate(service.context()) == {"removed": 0}


def test_a_fence_whose_answer_was_lost_is_lifted_too(service: FakeService) -> None:
    service.topic()
    service.source.on_next("create_acls", Fault.LOST_ANSWER)
    with pytest.raises(UnreachableError):
        _put(service)
    assert service.source.cluster.acls
    _put(service)
    _step(service).compensate(service.context())
    assert service.source.cluster.acls == set()


def test_a_fence_that_does_not_bind_drkit_is_no_proof(service: FakeService) -> None:
    service.topic()
    with pytest.raises(NotYetError, match="still accepts drkit's own write"):
        _step(service).confirm(service.context())
    assert service.clock.monotonic() - 1000 >= service.settings.timeouts.fence_seconds


def test_a_refusal_that_comes_late_is_waited_for(service: FakeService) -> None:
    service.topic()
    service.while_waiting(lambda: _put(service))
    assert _step(service).confirm(service.context())["probes"] == 2


def test_a_partition_that_is_still_written_to_stops_the_run(service: FakeService) -> None:
    partition = service.topic()
    _put(service)
    service.while_waiting(lambda: service.write(partition, 1))
    with pytest.raises(NotYetError, match=rf"1 partitions in {SOURCE} are still written to, first {ORDERS}-0"):
        _step(service).confirm(service.context())


def test_a_transaction_that_ends_is_waited_for_and_one_that_does_not_stops_the_run(service: FakeService) -> None:
    partition = service.topic()
    _put(service)
    service.source.cluster.begin(partition, b"a")
    with pytest.raises(NotYetError, match="a transaction that does not end"):
        _step(service).confirm(service.context())
    other = service.topic("shop.staging.payments")
    transaction = service.source.cluster.begin(other, b"a")
    service.source.cluster.drop(ORDERS)
    service.while_waiting(lambda: transaction.commit() if transaction.logs[0].end == 1 else None)
    assert offsets(_step(service).confirm(service.context())["ends"]) == [2]


def test_topics_of_others_may_go_on(service: FakeService) -> None:
    service.topic()
    other = service.topic("elsewhere")
    _put(service)
    service.while_waiting(lambda: service.write(other, 1))
    assert _step(service).confirm(service.context())["fenced"] is True


def test_a_missing_canary_topic_is_found_before_anything_is_changed(service: FakeService) -> None:
    service.source.cluster.drop(service.settings.canary_topic)
    with pytest.raises(RefusedError, match="no topic"):
        _step(service).prepare(service.context())
    _step(service).prepare(service.context(Mode.DISASTER))


def test_in_a_disaster_a_source_that_answers_is_fenced_and_a_silent_one_is_reported(service: FakeService) -> None:
    service.topic()
    _put(service, Mode.DISASTER)
    assert _step(service).confirm(service.context(Mode.DISASTER))["fenced"] is True
    service.source.is_dark = True
    step, context = _step(service), service.context(Mode.DISASTER)
    assert step.is_satisfied(context, step.observe(context))
    assert step.confirm(context) == {"fenced": False, "reason": f"{SOURCE} does not answer"}


def _fails(error: DrkitError) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("create_acls", "no controller"),
        ("probe_write", "not enough replicas"),
        ("log_ranges", "a partition has no leader"),
    ],
)
def test_a_disaster_move_does_not_depend_on_the_fence_of_a_half_dead_source(
    service: FakeService, call: str, reason: str
) -> None:
    service.topic()
    step, context = _step(service), service.context(Mode.DISASTER)
    service.source.on_next(call, _fails(RefusedError(reason)))
    step.apply(context, step.observe(context))
    assert step.confirm(context) == {"fenced": False, "reason": reason}


def test_a_transaction_that_hangs_does_not_stop_a_disaster_move(service: FakeService) -> None:
    service.source.cluster.begin(service.topic(), b"a")
    _put(service, Mode.DISASTER)
    evidence = _step(service).confirm(service.context(Mode.DISASTER))
    assert evidence["fenced"] is False
    assert "a transaction that does not end" in evidence["reason"]


def test_the_probe_itself_is_not_taken_for_a_write_of_the_service(service: FakeService) -> None:
    canary = TopicPartition(service.settings.canary_topic, 0)
    _put(service)
    assert _step(service).confirm(service.context())["ends"] == {}
    assert service.source.cluster.logs[canary].end == 0
