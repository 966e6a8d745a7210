"""Promote, redirect and the clients that arrive: the target opens, is found, and is seen to be used."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from drkit.domain.kafka import Acl, TopicPartition
from drkit.engine.step import Mode, NotYetError, RunContext
from drkit.errors import RefusedError, StalePlanError, UnreachableError, VerificationError
from drkit.ports import RecordSet
from drkit.steps.await_clients import AwaitClients
from drkit.steps.promote import Promote
from drkit.steps.redirect import Redirect
from tests.fakes.kafka_log import FakeLog
from tests.fakes.scripted import Fault
from tests.fakes.service import APPLICATION, ORDERS, RUN_ID, SOURCE, TARGET, FakeService

GROUP = "billing"


def _promote(service: FakeService) -> Promote:
    return Promote(service.world, service.world.regions[TARGET])


def _fence_target(service: FakeService) -> None:
    service.world.regions[TARGET].fence.put_producers()
    assert not service.target.cluster.is_allowed(APPLICATION, "write", "topic", ORDERS)


def test_the_target_takes_writes_and_a_canary_proves_it(service: FakeService) -> None:
    service.topic()
    _fence_target(service)
    step, context = _promote(service), service.context()
    step.prepare(context)
    step.apply(context, None)
    assert service.target.cluster.is_allowed(APPLICATION, "write", "topic", ORDERS)
    evidence = step.confirm(context)
    assert evidence["canary_offset"] == 0
    assert [record.value for record in _canary(service).read(0, 9, committed=True)] == [
        f"drkit canary of {RUN_ID}".encode()
    ]
    step.apply(context, None)
    assert step.confirm(context)["canary_offset"] == 1


def _canary(service: FakeService) -> FakeLog:
    return service.target.cluster.logs[TopicPartition(service.settings.canary_topic, 0)]


def test_a_denial_of_somebody_else_keeps_the_target_shut(service: FakeService) -> None:
    _fence_target(service)
    foreign = Acl("topic", service.settings.canary_topic, "literal", "User:drkit", "*", "write", "deny")
    service.target.cluster.acls.add(foreign)
    step, context = _promote(service), service.context()
    step.apply(context, None)
    with pytest.raises(NotYetError, match=f"{TARGET} still refuses drkit's own write"):
        step.confirm(context)
    assert service.clock.monotonic() - 1000 >= service.settings.timeouts.fence_seconds
    service.while_waiting(lambda: service.target.cluster.acls.discard(foreign))
    assert step.confirm(context)["canary_offset"] == 0


def test_a_canary_that_is_not_read_back_is_no_proof(service: FakeService) -> None:
    step = _promote(service)
    log = _canary(service)
    service.target.on_next("read", lambda: log.punch(0))
    with pytest.raises(VerificationError, match="not read back"):
        step.confirm(service.context())


def test_undoing_shuts_the_target_again(service: FakeService) -> None:
    service.topic()
    _fence_target(service)
    step, context = _promote(service), service.context()
    step.apply(context, None)
    for _ in range(2):
        step.compensate(context)
        assert not service.target.cluster.is_allowed(APPLICATION, "write", "topic", ORDERS)


def _redirect(service: FakeService) -> Redirect:
    return Redirect(service.world, service.world.redirects)


def _apply(step: Redirect, context: RunContext) -> None:
    step.apply(context, step.observe(context))


def test_a_redirect_is_made_once_and_waited_for(service: FakeService) -> None:
    step, context = _redirect(service), service.context()
    service.redirect.pending_asks = 3
    assert not step.is_satisfied(context, step.observe(context))
    _apply(step, context)
    assert step.is_satisfied(context, step.observe(context))
    _apply(step, context)
    assert [call for call, _ in service.redirect.calls].count("switch") == 1
    assert step.confirm(context)["targets"] == {
        service.redirect.name: {"values": ["2"], "answers": {"ns1": ["2"], "ns2": ["2"]}}
    }
    step.compensate(context)
    assert service.redirect.observe().values == ("1",)


def test_a_redirect_whose_answer_was_lost_is_not_made_twice(service: FakeService) -> None:
    step, context = _redirect(service), service.context()
    service.redirect.on_next("switch", Fault.LOST_ANSWER)
    with pytest.raises(UnreachableError):
        _apply(step, context)
    _apply(step, context)
    assert [call for call, _ in service.redirect.calls].count("switch") == 1


def test_a_record_that_is_neither_regions_is_refused_when_planning_and_later(service: FakeService) -> None:
    step, context = _redirect(service), service.context()
    seen = step.observe(context)
    service.redirect.change_by_another("10.9.9.9")
    with pytest.raises(RefusedError, match=r"is 10\.9\.9\.9: neither taipei's nor tokyo's value"):
        step.check(context)
    with pytest.raises(StalePlanError):
        step.apply(context, seen)
    assert service.redirect.current.values == ("10.9.9.9",)
    service.redirect.current = RecordSet((), 0)
    with pytest.raises(RefusedError, match="is empty"):
        step.check(context)


def test_servers_that_go_on_with_the_old_value_stop_the_run(service: FakeService) -> None:
    step, context = _redirect(service), service.context()
    service.redirect.pending_asks = 10**6
    with pytest.raises(NotYetError, match="in sync"):
        _apply(step, context)
    assert service.clock.monotonic() - 1000 == pytest.approx(service.settings.timeouts.redirect_seconds, abs=1)
    assert not step.is_satisfied(context, step.observe(context))


def test_a_silent_server_is_no_obstacle_but_one_must_answer(service: FakeService) -> None:
    step, context = _redirect(service), service.context()
    service.redirect.silent = {"ns2"}
    _apply(step, context)
    assert step.is_satisfied(context, step.observe(context))
    service.redirect.silent = {"ns1", "ns2"}
    assert not step.is_satisfied(context, step.observe(context))


def _arrivals(service: FakeService, mode: Mode = Mode.PLANNED) -> RunContext:
    partition = service.topic()
    service.write(partition, 2)
    service.carry(partition)
    cut = {ORDERS: {"0": {"source_end": 2, "source_last": 1, "target_end": 2}}}
    return service.context(mode, cut={"cut": cut}, snapshot={"active_groups": [GROUP]})


def test_groups_and_the_first_write_are_waited_for(service: FakeService) -> None:
    context = _arrivals(service)
    step = AwaitClients(service.world, SOURCE, TARGET)
    assert not step.is_satisfied(context, step.observe(context))
    at_ms = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000) - 500
    orders = next(p for p in service.target.cluster.logs if p.topic == ORDERS)

    def arrive() -> None:
        if not service.target.cluster.members:
            service.target.cluster.write(orders, b"x", at_ms=at_ms)
            service.target.cluster.join(GROUP)

    service.while_waiting(arrive)
    step.apply(context, step.observe(context))
    assert step.confirm(context) == {
        "first_write_at": "2025-12-31T23:59:59.500000+00:00",
        "partitions_written": 1,
        "groups_arrived": [GROUP],
        "groups_missing": [],
        "groups_still_at_source": [],
    }
    assert service.clock.monotonic() - 1000 < 1


@pytest.mark.parametrize("mode", [Mode.PLANNED, Mode.DISASTER])
def test_who_does_not_come_is_reported_and_no_error(service: FakeService, mode: Mode) -> None:
    context = _arrivals(service, mode)
    service.source.cluster.join(GROUP)
    service.source.cluster.join("elsewhere")
    service.source.is_dark = mode is Mode.DISASTER
    step = AwaitClients(service.world, SOURCE, TARGET)
    step.apply(context, step.observe(context))
    assert service.clock.monotonic() - 1000 == pytest.approx(service.settings.timeouts.clients_seconds, abs=1)
    evidence = step.confirm(context)
    assert (evidence["first_write_at"], evidence["groups_missing"]) == (None, [GROUP])
    assert (GROUP in evidence["groups_still_at_source"]) == (mode is Mode.PLANNED)


def test_a_source_that_falls_silent_afterwards_is_no_error(service: FakeService) -> None:
    context = _arrivals(service)
    service.source.is_dark = True
    assert AwaitClients(service.world, SOURCE, TARGET).confirm(context)["groups_still_at_source"] == []
