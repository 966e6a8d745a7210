"""A move that stopped half-way is undone or resumed: never over records that only the new primary has."""

from __future__ import annotations

import pytest

from drkit.domain.lifecycle import Phase
from drkit.errors import DrkitError, RefusedError, StoppedError, UnreachableError
from drkit.reports.run_report import report
from tests.fakes.move import FIRST, GROUP, Move, mirrored_service, raising
from tests.fakes.service import APPLICATION, ORDERS, TARGET, FakeService

SILENT = UnreachableError("Route 53 does not answer")


class Killed(BaseException):
    """The process is gone: nothing more is journaled."""


@pytest.fixture(name="service")
def _service() -> FakeService:
    return mirrored_service()


def stopped_before_redirect(service: FakeService) -> Move:
    """A move that has opened the target, and not redirected anybody."""
    move = Move(service)
    service.redirect.on_next("observe", raising(SILENT))
    with pytest.raises(StoppedError, match="redirect"):
        move.run()
    return move


def test_a_planned_move_succeeds(service: FakeService) -> None:
    state = Move(service).run()
    assert state.phase is Phase.SUCCEEDED
    assert report(state)["records_lost"] == {"known": 0, "unknown": False}


def test_a_redirect_that_was_accepted_is_not_undone_while_clients_write(service: FakeService) -> None:
    """One name server is late by more than redirect_seconds; clients have moved meanwhile."""
    move, redirect = Move(service, undo_on_failure=True), service.redirect
    redirect.answers = lambda: {"ns1": redirect.current.values, "late": ("1",)}  # type: ignore[method-assign]
    written: list[int] = []

    def follow() -> None:
        cluster = service.target.cluster
        is_open = cluster.is_allowed(APPLICATION, "write", "topic", ORDERS)
        if redirect.current.values == ("2",) and is_open and not written:
            written.append(cluster.logs[FIRST].append(b"acknowledged by the new primary"))

    service.while_waiting(follow)
    with pytest.raises(StoppedError, match=r"not undone: .* has redirected clients to tokyo") as caught:
        move.run()
    assert f"drkit resume {move.run_id} goes on" in caught.value.hint
    assert written
    assert move.state.phase is Phase.STOPPED
    assert redirect.current.values == ("2",)


def killed_behind_redirect(service: FakeService) -> Move:
    """A move that was killed between the redirect's effect and its evidence."""
    move = Move(service)
    service.redirect.on_next("is_in_sync", raising(Killed()))
    with pytest.raises(Killed):
        move.run()
    assert service.redirect.current.values == ("2",)
    return move


def test_behind_the_redirect_an_abort_is_refused_by_what_the_world_shows(service: FakeService) -> None:
    move = killed_behind_redirect(service)
    with pytest.raises(RefusedError, match="has redirected clients to tokyo: it cannot be undone"):
        move.abort()
    assert service.redirect.current.values == ("2",)
    assert move.resume().phase is Phase.SUCCEEDED


def test_where_the_redirect_cannot_be_seen_an_abort_is_refused(service: FakeService) -> None:
    move = killed_behind_redirect(service)
    service.redirect.on_next("observe", raising(SILENT))
    with pytest.raises(RefusedError, match=r"not known whether .* has redirected clients: Route 53") as caught:
        move.abort()
    assert "nothing was undone: drkit resume" in caught.value.hint
    assert move.resume().phase is Phase.SUCCEEDED


def test_an_open_target_that_was_not_written_to_is_shut_by_an_abort(service: FakeService) -> None:
    move = stopped_before_redirect(service)
    service.target.cluster.begin(FIRST).abort()
    assert move.abort().phase is Phase.UNDONE
    assert not service.target.cluster.is_allowed(APPLICATION, "write", "topic", ORDERS)


@pytest.mark.parametrize("is_open", [False, True])
def test_a_target_that_was_written_to_is_not_shut_by_an_abort(service: FakeService, is_open: bool) -> None:
    move = stopped_before_redirect(service)
    if is_open:
        service.target.cluster.begin(FIRST, b"in a transaction that may yet be committed")
    else:
        service.target.cluster.write(FIRST, b"acknowledged by the target")
    with pytest.raises(RefusedError, match="applications have written to 1 partitions in tokyo since the cut"):
        move.abort()
    assert not move.state.is_being_undone
    assert service.target.cluster.is_allowed(APPLICATION, "write", "topic", ORDERS)


def test_a_copy_that_is_gone_tells_nothing_about_writes(service: FakeService) -> None:
    move = stopped_before_redirect(service)
    service.target.cluster.drop(ORDERS)
    with pytest.raises(RefusedError, match=f"{ORDERS}-0 is no longer in tokyo"):
        move.abort()


def test_a_write_in_the_moment_of_shutting_is_seen(service: FakeService) -> None:
    move = stopped_before_redirect(service)
    service.target.on_next("create_acls", lambda: service.target.cluster.write(FIRST, b"just acknowledged"))
    with pytest.raises(RefusedError, match="promote refuses to be undone: applications have written"):
        move.abort()
    assert not move.state.is_being_undone


def test_a_target_that_does_not_answer_is_not_taken_for_unwritten(service: FakeService) -> None:
    move = stopped_before_redirect(service)
    service.target.is_dark = True
    with pytest.raises(DrkitError):
        move.abort()
    assert not move.state.is_being_undone


def test_a_resume_keeps_cut_and_positions_of_a_target_that_was_open(service: FakeService) -> None:
    """Measured again, an application's records would count as mirrored, and groups be placed behind them."""
    move = stopped_before_redirect(service)
    mine = service.target.cluster.logs[FIRST].append(b"written by an application in the target region")
    assert move.resume().phase is Phase.SUCCEEDED
    assert service.target.cluster.committed[GROUP][FIRST] == mine
    epoch = service.record.read().of_run(move.run_id)
    assert epoch is not None
    assert epoch.cut[FIRST].target_end == mine


def test_a_resume_before_the_target_was_open_measures_again(service: FakeService) -> None:
    move = Move(service)
    service.target.on_next("alter_group_offsets", raising(UnreachableError("no answer")))
    with pytest.raises(StoppedError, match="translate-offsets"):
        move.run()
    service.write(FIRST, 2)
    service.carry(FIRST)
    assert move.resume().phase is Phase.SUCCEEDED
    epoch = service.record.read().of_run(move.run_id)
    assert epoch is not None
    assert epoch.cut[FIRST].source_end == 12


def test_a_source_that_was_written_to_behind_the_cut_is_not_left(service: FakeService) -> None:
    move = stopped_before_redirect(service)
    service.write(FIRST, 2)
    service.carry(FIRST)
    with pytest.raises(StoppedError, match="1 partitions in taipei were written to behind the cut") as caught:
        move.resume()
    assert f"drkit abort {move.run_id} goes back" in caught.value.hint
    assert service.redirect.current.values == ("1",)


def test_a_marker_behind_the_cut_is_no_record(service: FakeService) -> None:
    move = stopped_before_redirect(service)
    service.source.cluster.begin(FIRST).abort()
    assert move.resume().phase is Phase.SUCCEEDED


def test_what_a_resumed_run_moves_is_undone_too(service: FakeService) -> None:
    late = "reports"  # outside the fenced prefix: it appears between the stop and the resume
    move = Move(service)
    service.target.on_next("alter_group_offsets", raising(UnreachableError("no answer")))
    with pytest.raises(StoppedError, match="translate-offsets"):
        move.run()
    service.source.cluster.commit(late, {FIRST: 4})
    service.target.cluster.commit(late, {FIRST: 1})
    service.redirect.on_next("observe", raising(SILENT))
    with pytest.raises(StoppedError, match="redirect"):
        move.resume()
    assert service.target.cluster.committed[late] == {FIRST: 4}
    move.abort()
    assert service.target.cluster.committed[late] == {FIRST: 1}


def test_an_abort_of_a_second_move_leaves_the_standby_as_it_was(service: FakeService) -> None:
    """The standby was the primary once: its groups are fenced since."""
    service.world.regions[TARGET].fence.put_consumers([GROUP])
    before = set(service.target.cluster.acls)
    stopped_before_redirect(service).abort()
    assert service.target.cluster.acls == before
