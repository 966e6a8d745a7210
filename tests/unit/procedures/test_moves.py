"""Whole moves on the fakes: what happens beside them, or to one side, while they run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drkit.domain.kafka import TopicPartition
from drkit.domain.lifecycle import Phase
from drkit.domain.run_steps import StepOutcome
from drkit.engine.step import Mode
from drkit.errors import DrkitError, LeaseHeldError, RefusedError, StoppedError, UnknownOutcomeError, UnreachableError
from drkit.procedures.plan import Plan, Request
from drkit.procedures.service import Service
from drkit.procedures.watch import Watch
from drkit.reports.run_report import report, report_text
from tests.fakes.move import FIRST, GROUP, Move, mirrored_service, operator, raising
from tests.fakes.procedure import Watcher
from tests.fakes.service import APPLICATION, SOURCE, TARGET, FakeService


@pytest.fixture
def service() -> FakeService:
    """A service that can be moved."""
    return mirrored_service()


def once(happening: Callable[[], object]) -> Callable[[], None]:
    """The first call alone does something."""
    done: list[object] = []

    def call() -> None:
        if not done:
            done.append(True)
            happening()

    return call


def test_a_planned_move_succeeds(service: FakeService) -> None:
    assert Move(service).run().phase is Phase.SUCCEEDED


def test_records_written_behind_the_fence_stop_the_run_and_a_resume_carries_them(service: FakeService) -> None:
    """A producer whose principal fence.principals does not list writes now and then."""
    move = Move(service)
    # The drain is over when the groups' commits are refused.
    service.source.on_next("probe_commit", lambda: service.write(FIRST, 1))
    with pytest.raises(StoppedError, match=f"stopped at cut: 1 partitions in {SOURCE} have changed behind the fence"):
        move.run()
    service.carry(FIRST)
    assert move.resume().phase is Phase.SUCCEEDED
    assert service.target.cluster.logs[FIRST].end == 11


def test_clients_are_not_redirected_away_from_a_record_written_behind_the_fence(service: FakeService) -> None:
    service.redirect.on_next("observe", lambda: service.write(FIRST, 1))
    with pytest.raises(StoppedError, match=r"stopped at redirect: .* it ended at 10 and ends at 11 now"):
        Move(service).run()
    assert service.redirect.current.values == ("1",)


def test_a_record_that_the_old_primary_took_behind_the_cut_is_lost_and_reported_as_lost(service: FakeService) -> None:
    service.connect.on_next("stop", lambda: service.write(FIRST, 1))
    state = Move(service).run()
    assert state.phase is Phase.VERIFICATION_MISSED
    assert report(state)["records_lost"] == {"known": 1, "unknown": False}


@pytest.mark.parametrize(
    "command",
    [
        lambda other: other.fence_lift(SOURCE),
        lambda other: other.fence_put(TARGET),
        lambda other: other.mm2_apply(None, resume=True, progress=lambda _: None),
    ],
)
def test_nobody_changes_fence_or_mirror_beside_a_run(
    service: FakeService, command: Callable[[Service], object]
) -> None:
    move, said = Move(service), list[DrkitError]()

    def try_it() -> None:
        with pytest.raises(LeaseHeldError) as caught:
            command(operator(service))
        said.append(caught.value)

    service.source.on_next("probe_commit", try_it)
    assert move.run().phase is Phase.SUCCEEDED
    assert "alice works on this service" in said[0].message


def test_nobody_lifts_the_fence_of_a_run_that_has_stopped(service: FakeService) -> None:
    move = Move(service)
    service.source.on_next("probe_commit", once(lambda: service.write(FIRST, 1)))
    with pytest.raises(StoppedError):
        move.run()
    with pytest.raises(RefusedError, match=f"run {move.run_id} is unfinished") as caught:
        operator(service).fence_lift(SOURCE)
    assert f"drkit abort {move.run_id}" in caught.value.hint
    assert service.world.regions[SOURCE].fence.is_put()


def test_a_half_dead_source_can_be_left(service: FakeService) -> None:
    def no_controller() -> object:
        raise UnreachableError("create ACLs: no controller")

    service.source.on_next("create_acls", no_controller)
    state = Move(service, Mode.DISASTER).run()
    assert state.phase in (Phase.SUCCEEDED, Phase.VERIFICATION_MISSED)
    assert state.steps["fence-producers"].evidence == {"fenced": False, "reason": "create ACLs: no controller"}


def test_a_transaction_of_the_mirror_that_is_open_on_the_target_is_waited_for(service: FakeService) -> None:
    """Its copy is neither in the log's last records nor in Kafka Connect's positions before it has ended."""
    service.write(FIRST, 1)
    copy = service.target.cluster.begin(FIRST, b"10")
    position = service.target.cluster.begin(TopicPartition("connect-offsets", 0), b"{}")
    service.checkpoint(GROUP, FIRST, 11, at_ms=1)
    service.source.is_dark = True
    move = Move(service, Mode.DISASTER)
    with pytest.raises(StoppedError, match="a transaction is still open in 2 partitions"):
        move.run()
    assert GROUP not in service.target.cluster.committed

    def ends() -> None:
        copy.commit()
        position.abort()
        service.put_position(FIRST, 10)

    service.while_waiting(once(ends))
    assert move.resume().phase in (Phase.SUCCEEDED, Phase.VERIFICATION_MISSED)
    # Behind the copy, whose marker needs no reading.
    assert service.target.cluster.committed[GROUP][FIRST] in (11, 12)


def _taken_over(service: FakeService, target: str = TARGET) -> Plan:
    return operator(service).plan(
        Request("failover", target, "disaster", "unknown", "unknown", True, supersede=True, again="x")
    )


def test_a_source_that_dies_in_a_planned_run_is_left_by_another_that_takes_its_place(service: FakeService) -> None:
    service.write(FIRST, 3)
    move = Move(service)
    service.redirect.on_next("observe", raising(UnreachableError("Route 53 does not answer")))

    def while_it_drains() -> None:
        service.carry(FIRST)
        # Behind the snapshot: nobody sees this commit but the run.
        service.source.cluster.commit(GROUP, {FIRST: 12})

    service.while_waiting(once(while_it_drains))
    with pytest.raises(StoppedError, match="redirect"):
        move.run()
    service.source.is_dark = True
    with pytest.raises(RefusedError, match=f"run {move.run_id} is unfinished") as caught:
        operator(service).plan(Request("failover", TARGET, "disaster", "unknown", "unknown", True))
    assert "--supersede" in caught.value.hint
    plan = _taken_over(service)
    assert plan.document["supersedes"] == move.run_id
    report = operator(service).run(plan, Watcher(), undo_on_failure=False)
    assert report.document["outcome"] in ("succeeded", "verification_missed")
    assert report.document["supersedes"] == move.run_id
    assert move.state.phase is Phase.SUPERSEDED
    assert service.redirect.current.values == ("2",)
    assert service.target.cluster.committed[GROUP][FIRST] == 12, "as the earlier run read it behind its fence"
    with pytest.raises(RefusedError, match="is over: superseded"):
        move.resume()


def test_a_run_is_not_superseded_by_a_planned_move(service: FakeService) -> None:
    move = Move(service)
    service.write(FIRST, 1)
    with pytest.raises(StoppedError, match="drain-mirror"):
        move.run()
    service.carry(FIRST)
    with pytest.raises(RefusedError, match=f"run {move.run_id} is unfinished"):
        operator(service).plan(Request("failover", TARGET, "planned", supersede=True))
    assert move.resume().phase is Phase.SUCCEEDED


def test_a_run_that_may_have_redirected_records_it_before_it_is_superseded(service: FakeService) -> None:
    move = Move(service)
    service.redirect.on_next("switch", *[raising(UnknownOutcomeError("no answer"))] * 200)
    with pytest.raises(UnknownOutcomeError):
        move.run()
    assert move.state.steps["redirect"].begun
    service.source.is_dark = True
    with pytest.raises(RefusedError, match="may have redirected clients to tokyo") as caught:
        _taken_over(service)
    assert f"drkit resume {move.run_id}" in caught.value.hint


def test_a_target_that_dies_behind_the_redirect_can_be_left_again(service: FakeService) -> None:
    move = Move(service)
    service.connect.on_next("stop", *[raising(RefusedError("Kafka Connect is broken"))] * 5)
    with pytest.raises(StoppedError, match="stop-mirror"):
        move.run()
    assert service.record.read().primary(SOURCE) == TARGET
    with pytest.raises(RefusedError, match="is unfinished") as refused:
        operator(service).plan(Request("failover", SOURCE))
    assert f"drkit resume {move.run_id}" in refused.value.hint
    assert "drkit abort" not in refused.value.hint, "clients were redirected"
    service.target.is_dark = True
    service.connect.is_dark = True
    with pytest.raises(DrkitError) as caught:
        _taken_over(service, SOURCE)
    assert "unfinished" not in caught.value.message


def test_an_abort_opens_the_old_primary_also_where_the_target_is_down_and_owes_the_rest(service: FakeService) -> None:
    move = Move(service)
    service.redirect.on_next("observe", raising(UnreachableError("Route 53 does not answer")))
    with pytest.raises(StoppedError, match="redirect"):
        move.run()
    service.target.is_dark = True
    with pytest.raises(RefusedError, match="whether applications have written to tokyo is not known") as caught:
        move.abort()
    assert f"drkit abort {move.run_id} --target-is-gone" in caught.value.hint
    with pytest.raises(StoppedError, match="promote could not be undone"):
        move.abort(target_is_gone=True)
    source, target = service.world.regions[SOURCE].fence, service.world.regions[TARGET].fence
    assert service.source.cluster.is_allowed(APPLICATION, "write", "topic", FIRST.topic)
    assert service.source.cluster.is_allowed(APPLICATION, "read", "group", GROUP)
    assert (move.state.phase, move.state.steps["promote"].outcome) == (Phase.UNDO_STOPPED, StepOutcome.OWED)
    assert not source.is_put()
    # The primary is at work again, and so is the mirror.
    service.target.is_dark = False
    service.write(FIRST, 5)
    service.carry(FIRST)
    assert not target.is_put()
    # Its copies look like records of applications'.
    assert move.abort().phase is Phase.UNDONE
    assert target.is_put()


def test_an_old_primary_that_dies_behind_the_redirect_holds_nothing_up(service: FakeService) -> None:
    move = Move(service)
    service.connect.on_next("stop", raising(RefusedError("Kafka Connect is broken")))
    with pytest.raises(StoppedError, match="stop-mirror"):
        move.run()
    service.source.is_dark = True
    assert move.resume().phase is Phase.SUCCEEDED
    checks = {check["name"]: check["outcome"] for check in move.state.steps["verify"].evidence["checks"]}
    assert (checks["target-logs"], checks["old-side"]) == ("ok", "not_checked")


def test_a_disaster_move_reports_what_the_watch_lets_it_know_of_the_loss(service: FakeService) -> None:
    watch = Watch(service.world, lambda: SOURCE, "host-1")
    watch.look()
    service.clock.sleep(5.0)
    service.write(FIRST, 20)
    watch.look()
    service.source.is_dark = True
    service.clock.sleep(2.0)
    watch.look()
    document = report(Move(service, Mode.DISASTER).run())
    assert document["records_lost"] == {"known": 20, "unknown": True}
    figures = (document[f"records_lost_{name}"] for name in ("at_least", "estimate", "highest"))
    assert tuple(figures) == (20, 28, 28)
    assert document["loss"]["seen_by"] == ["watch"]
    assert "records lost       about 28 (at least 20, 28 at the highest rate seen)" in report_text(document)
