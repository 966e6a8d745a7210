"""Promote, redirect and the clients that arrive: the target opens, is found, and is seen to be used."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from drkit.domain.kafka import Acl, TopicPartition
from drkit.engine.step import Mode, NotYetError, RunContext
from drkit.errors import RefusedError, StalePlanError, UnknownOutcomeError, UnreachableError, VerificationError
from drkit.ports import RecordSet
from drkit.steps.await_clients import AwaitClients
from drkit.steps.promote import Promote
from drkit.steps.redirect import Redirect
from tests.fakes.kafka_log import FakeLog
from tests.fakes.scripted import Fault
from tests.fakes.service import APPLICATION, ORDERS, RUN_ID, SOURCE, TARGET, FakeService
from tests.unit.config.sample import changed, settings

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
    step, context = _promote(service), service.context(cut={"cut": {}})
    step.apply(context, None)
    for _ in range(2):
        step.compensate(context)
        assert not service.target.cluster.is_allowed(APPLICATION, "write", "topic", ORDERS)


def test_without_a_cut_on_record_nobody_can_tell_whether_it_may_be_undone(service: FakeService) -> None:
    with pytest.raises(RefusedError, match="at the cut are not on record"):
        _promote(service).check_undo(service.context())


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


def test_a_redirect_whose_answer_was_lost_is_found_made(service: FakeService) -> None:
    step, context = _redirect(service), service.context()
    service.redirect.on_next("switch", Fault.LOST_ANSWER)
    _apply(step, context)
    assert service.redirect.current.values == ("2",)
    assert step.is_satisfied(context, step.observe(context))


def _unknown() -> object:
    raise UnknownOutcomeError("change: no answer")


def test_a_change_without_an_answer_is_asked_for_until_there_is_one(service: FakeService) -> None:
    step, context = _redirect(service), service.context()
    service.redirect.on_next("switch", _unknown, Fault.NOT_ARRIVED, _unknown)
    _apply(step, context)
    assert [call for call, _ in service.redirect.calls].count("switch") == 4
    assert service.redirect.current.values == ("2",)


def test_a_change_that_never_gets_an_answer_is_unknown_and_not_undone(service: FakeService) -> None:
    """Undone, everybody would be fenced as soon as it arrives."""
    step, context = _redirect(service), service.context()
    service.redirect.on_next("switch", *[_unknown] * 1000)
    with pytest.raises(
        UnknownOutcomeError, match=r"whether kafka\.example\.internal A changes to 2 is not known"
    ) as caught:
        _apply(step, context)
    assert caught.value.hint.startswith("what is kafka.example.internal A now, and has somebody else changed it?")
    assert service.clock.monotonic() - 1000 == pytest.approx(service.settings.timeouts.redirect_seconds, abs=3)


def test_somebody_elses_change_after_a_lost_answer_stops_it(service: FakeService) -> None:
    step, context = _redirect(service), service.context()

    def lose() -> object:
        service.redirect.change_by_another("10.9.9.9")
        return _unknown()

    service.redirect.on_next("switch", lose)
    with pytest.raises(StalePlanError):
        _apply(step, context)


def test_an_accepted_change_is_seen_at_the_name_servers_when_the_control_plane_is_silent(service: FakeService) -> None:
    step, context = _redirect(service), service.context()
    service.redirect.on_next("is_in_sync", *[Fault.NOT_ARRIVED] * 10)
    _apply(step, context)
    assert [call for call, _ in service.redirect.calls].count("is_in_sync") == 1
    service.redirect.pending_asks = 10**6
    service.redirect.on_next("is_in_sync", *[Fault.NOT_ARRIVED] * 10**4)
    service.redirect.change_by_another("1")
    with pytest.raises(NotYetError, match="in sync"):
        _apply(step, context)


def test_only_a_disaster_is_planned_without_the_control_plane(service: FakeService) -> None:
    step = _redirect(service)
    service.redirect.is_dark = True
    with pytest.raises(UnreachableError):
        step.check(service.context())
    disaster = service.context(Mode.DISASTER)
    step.check(disaster)
    assert "does not answer now, and the run will stop here if it still does not" in step.describe(disaster)
    service.redirect.is_dark = False
    step.check(disaster)
    assert step.describe(disaster) == "point kafka.example.internal A to 2"


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


def _first_write(service: FakeService, context: RunContext) -> str | None:
    found: str | None = AwaitClients(service.world, SOURCE, TARGET).confirm(context)["first_write_at"]
    return found


def test_a_timestamp_from_before_the_target_was_open_is_not_the_moment_of_the_first_write(
    service: FakeService,
) -> None:
    """Event time, or a record that a producer held back during the outage."""
    opened = service.clock.now()
    cut = _arrivals(service).of("cut")
    context = service.context(cut=cut, promote={"canary_written_at": opened.isoformat()})
    service.clock.sleep(5)
    orders = TopicPartition(ORDERS, 0)
    service.target.cluster.write(orders, b"x", at_ms=int((opened.timestamp() - 3600) * 1000))
    assert _first_write(service, context) == service.clock.now().isoformat()
    fresh = datetime.fromtimestamp(int(opened.timestamp()) + 2, UTC)
    service.target.cluster.write(orders, b"y", at_ms=int(fresh.timestamp() * 1000))
    assert _first_write(service, context) == fresh.isoformat()
    service.target.cluster.write(orders, b"z", at_ms=int(opened.timestamp() * 1000) - 300)
    assert _first_write(service, context) == opened.isoformat()


def test_a_marker_of_the_mirrors_is_no_application_s_write(service: FakeService) -> None:
    context = _arrivals(service)
    orders = TopicPartition(ORDERS, 0)
    service.target.cluster.begin(orders).commit()
    assert _first_write(service, context) is None
    service.target.cluster.write(orders, b"x")
    assert _first_write(service, context) is not None


def test_renamed_copies_are_looked_at_and_one_that_is_gone_is_no_error() -> None:
    service = FakeService(settings(changed("replication.policy", "default")))
    context = _arrivals(service)
    assert _first_write(service, context) is None
    copy = TopicPartition(service.names.on_target(ORDERS), 0)
    service.target.cluster.write(copy, b"x")
    assert _first_write(service, context) is not None
    service.target.cluster.drop(copy.topic)
    assert _first_write(service, context) is None
