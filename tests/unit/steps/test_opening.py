"""Promote, redirect and the clients that arrive: the target opens, is found, and is seen to be used."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime

import pytest

from drkit.domain.kafka import Acl, TopicPartition
from drkit.domain.lineage import Epoch, EpochState
from drkit.engine.step import Evidence, Mode, NotYetError, RunContext
from drkit.errors import RefusedError, StalePlanError, UnknownOutcomeError, UnreachableError, VerificationError
from drkit.ports import RecordSet
from drkit.steps.await_clients import AwaitClients
from drkit.steps.promote import Promote
from drkit.steps.redirect import Redirect
from drkit.steps.snapshot import TakeSnapshot
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


_WRITE = Acl("topic", ORDERS, "literal", APPLICATION, "*", "write", "allow")
_JOIN = Acl("group", GROUP, "literal", APPLICATION, "*", "read", "allow")
_OF_MIRROR = Acl("topic", ORDERS, "literal", "User:mirror", "*", "all", "allow")
_UNDO = f"undo/{RUN_ID}/fences-{TARGET}.json"


def _behind(service: FakeService) -> None:
    """The target has the topic, fenced, and neither the source's ACLs nor its configs."""
    service.topic()
    # As the target has it from the start: the mirror and drkit are named where anybody is.
    for kafka in (service.source, service.target):
        kafka.cluster.acls |= {replace(_OF_MIRROR, principal=who) for who in ("User:mirror", "User:drkit")}
    service.source.cluster.acls |= {_WRITE, _JOIN}
    service.source.cluster.configs[ORDERS] = {"min.insync.replicas": "1", "max.message.bytes": "2000000"}
    _fence_target(service)


def _opened(service: FakeService, context: RunContext | None = None) -> Evidence:
    step, context = _promote(service), context or service.context(cut={"cut": {}})
    step.prepare(context)
    step.apply(context, None)
    found: Evidence = step.confirm(context)
    return found


def test_what_the_mirror_skips_is_there_before_the_target_opens(service: FakeService) -> None:
    _behind(service)
    cluster, fence = service.target.cluster, service.world.regions[TARGET].fence
    seen = []

    def look() -> None:
        seen.append((fence.is_put(), _WRITE in cluster.acls, cluster.configs[ORDERS]["max.message.bytes"]))

    step, context = _promote(service), service.context()
    step.prepare(context)
    # The fence's own record is the first thing that is read when it is lifted.
    service.target.on_next("delete_acls", look)
    step.apply(context, None)
    assert seen == [(True, True, "2000000")]
    assert {_WRITE, _JOIN} <= cluster.acls
    assert cluster.is_allowed(APPLICATION, "write", "topic", ORDERS)
    found = step.confirm(context)["carried_over"]
    # The first ACL of the group names drkit and the mirror as well.
    assert (found["from"], found["acls"], found["configs"], found["problems"]) == ("the cluster", 4, 2, [])
    assert step.summarize({"carried_over": found}) == "4 ACLs and 2 configs carried over"


def test_behind_the_fence_an_acl_opens_nothing(service: FakeService) -> None:
    """A denial counts more than any allowance."""
    _behind(service)
    service.target.cluster.acls.add(_WRITE)
    assert not service.target.cluster.is_allowed(APPLICATION, "write", "topic", ORDERS)


def test_who_may_write_to_the_source_may_write_to_the_new_primary_also_if_no_fence_denies_it(
    service: FakeService,
) -> None:
    """For a standby that is left to a person; this is one no longer."""
    _behind(service)
    by_batch = replace(_WRITE, principal="User:batch")
    service.source.cluster.acls.add(by_batch)
    assert _opened(service)["carried_over"]["for_a_person"] == 0
    assert by_batch in service.target.cluster.acls


def test_nothing_is_written_while_a_run_is_prepared(service: FakeService) -> None:
    _behind(service)
    before = (set(service.target.cluster.acls), dict(service.target.cluster.configs), dict(service.store.objects))
    _promote(service).prepare(service.context())
    assert before == (service.target.cluster.acls, service.target.cluster.configs, service.store.objects)


def test_where_nothing_differs_writes_wait_for_nothing_more(service: FakeService) -> None:
    service.topic()
    _fence_target(service)
    step, context = _promote(service), service.context()
    step.prepare(context)
    service.source.calls.clear()
    service.target.calls.clear()
    step.apply(context, None)
    assert service.source.calls == []
    assert [call for call, _ in service.target.calls] == ["acls", "delete_acls"]
    assert step.summarize(step.confirm(context)) == ""


def test_undoing_takes_back_the_acls_of_the_run_and_no_others(service: FakeService) -> None:
    _behind(service)
    service.target.cluster.acls.add(_JOIN)
    before = set(service.target.cluster.acls)
    context = service.context(cut={"cut": {}})
    _opened(service, context)
    assert _WRITE in service.target.cluster.acls
    # What somebody else adds meanwhile stays.
    foreign = replace(_WRITE, principal="User:somebody")
    service.target.cluster.acls.add(foreign)
    for _ in range(2):
        _promote(service).compensate(context)
        assert service.target.cluster.acls == {*before, foreign}
    # Configs stay: they are the source's, and hold back nobody.
    assert service.target.cluster.configs[ORDERS]["max.message.bytes"] == "2000000"


def test_a_fence_is_put_again_whatever_becomes_of_the_acls(service: FakeService) -> None:
    _behind(service)
    context = service.context(cut={"cut": {}})
    _opened(service, context)
    service.target.on_next("delete_acls", Fault.NOT_ARRIVED)
    with pytest.raises(UnreachableError):
        _promote(service).compensate(context)
    assert not service.target.cluster.is_allowed(APPLICATION, "write", "topic", ORDERS)


def test_an_acl_is_on_record_before_it_is_made(service: FakeService) -> None:
    _behind(service)
    recorded = []
    service.target.on_next("create_acls", lambda: recorded.append(service.stored(_UNDO)["created_acls"]))
    _opened(service)
    assert asdict(_WRITE) in recorded[0]


def test_a_repeated_promotion_makes_nothing_that_is_not_on_record(service: FakeService) -> None:
    """It would not be taken back."""
    _behind(service)
    _opened(service)
    later = replace(_WRITE, principal="User:later")
    service.source.cluster.acls.add(later)
    _opened(service)
    assert later not in service.target.cluster.acls
    assert len(service.stored(_UNDO)["created_acls"]) == 4


@pytest.mark.parametrize("call", ["create_acls", "alter_topic_configs"])
def test_what_is_refused_is_on_record_and_stops_nothing(service: FakeService, call: str) -> None:
    _behind(service)

    def refuse() -> None:
        raise RefusedError("not by me")

    service.target.on_next(call, *[refuse] * 9)
    found = _opened(service)["carried_over"]
    assert "not by me" in " ".join(found["problems"])
    assert (found["acls"] == 0, found["configs"] == 0) == (call == "create_acls", call != "create_acls")
    assert not service.world.regions[TARGET].fence.is_put()


def test_a_source_that_is_gone_is_known_from_its_newest_snapshot(service: FakeService) -> None:
    _behind(service)
    TakeSnapshot(service.world, SOURCE).apply(service.context(), None)
    taken_at = service.clock.now().isoformat()
    service.clock.sleep(60)
    service.source.is_dark = True
    service.source.calls.clear()
    step, context = _promote(service), service.context(Mode.DISASTER)
    step.prepare(context)
    # Each question would be waited for.
    assert service.source.calls == []
    step.apply(context, None)
    evidence = step.confirm(context)
    assert _WRITE in service.target.cluster.acls
    assert (evidence["carried_over"]["from"], evidence["carried_over"]["as_of"]) == ("snapshot", taken_at)
    assert step.summarize(evidence) == f"4 ACLs and 2 configs carried over as of {taken_at}"


def test_a_source_of_which_nothing_is_stored_is_said_to_be_unknown(service: FakeService) -> None:
    _behind(service)
    service.source.is_dark = True
    step, context = _promote(service), service.context(Mode.DISASTER)
    step.prepare(context)
    step.apply(context, None)
    evidence = step.confirm(context)
    assert evidence["carried_over"] == {
        "from": None,
        "as_of": None,
        "acls": 0,
        "configs": 0,
        "for_a_person": 0,
        "problems": ["there is no snapshot and no backup of taipei's topics and ACLs"],
    }
    assert step.summarize(evidence).startswith("not carried over: there is no snapshot")
    assert not service.world.regions[TARGET].fence.is_put()


def test_a_snapshot_from_before_the_source_became_primary_is_not_used(service: FakeService) -> None:
    _behind(service)
    TakeSnapshot(service.world, SOURCE).apply(service.context(), None)
    service.clock.sleep(60)
    epoch = Epoch("earlier", TARGET, SOURCE, "planned", service.clock.now().isoformat(), EpochState.IN_FORCE, {})
    service.record.change(lambda lineage: lineage.with_epoch(epoch))
    step, context = _promote(service), service.context(Mode.DISASTER)
    step.prepare(context)
    step.apply(context, None)
    assert "the newest snapshot is from before the last move" in step.confirm(context)["carried_over"]["problems"][0]
    assert _WRITE not in service.target.cluster.acls


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
