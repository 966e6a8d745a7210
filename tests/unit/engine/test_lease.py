"""The lease: one holder, taken over only after observed silence."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from drkit.adapters.local.clock import SystemClock
from drkit.domain import run_events as ev
from drkit.domain.lifecycle import Phase
from drkit.engine.holder import parse_holder
from drkit.engine.journal import Journal, StateDarkError
from drkit.engine.lease import Lease
from drkit.errors import ExitCode, LeaseHeldError, LeaseLostError, RefusedError, UnreachableError
from tests.fakes.aws import FakeObjectStore
from tests.fakes.clock import FakeClock
from tests.fakes.machine import Machine
from tests.fakes.procedure import World, planned, procedure
from tests.fakes.scripted import Fault
from tests.waiting import eventually

RUN, OTHER_RUN = "20260101t000000z-failover-0a1b", "20260101t000001z-failover-0a1b"
ALICE, BOB = "alice@here pid 1 started 1", "bob@there pid 2 started 2"
SECONDS = 30.0


class Rig:
    """A bucket, and two operators on machines whose wall clocks are ten minutes off in either direction."""

    def __init__(self) -> None:
        self.store = FakeObjectStore()
        self.clock = FakeClock()
        self.here = Machine(self.clock, timedelta(minutes=10))
        self.there = Machine(self.clock, timedelta(minutes=-10))
        self.dead: set[str] = set()
        self.notes: list[str] = []
        self.alice, self.bob = self.lease(ALICE, self.here), self.lease(BOB, self.there)
        self._begin(RUN)

    def lease(self, owner: str, machine: Machine, *, seconds: float = SECONDS) -> Lease:
        return Lease(
            self.store,
            machine,
            owner=owner,
            seconds=seconds,
            is_gone=self.dead.__contains__,
            progress=self.notes.append,
            background=False,
        )

    def stored(self) -> dict[str, object]:
        """The lease object."""
        document: dict[str, object] = json.loads(self.store.objects["lease.json"])
        return document

    def _begin(self, run_id: str) -> None:
        plan = planned(procedure(World(FakeObjectStore())))
        self.journal = Journal(self.store, lambda _run, _line: None, self.clock, run_id=run_id)
        self.journal.append(plan)


@pytest.fixture(name="rig")
def _rig() -> Rig:
    return Rig()


def test_a_free_lease_is_taken_renewed_and_released(rig: Rig) -> None:
    assert rig.alice.acquire(RUN) == ""
    assert rig.stored()["is_held"] is True
    rig.clock.advance(20)
    rig.alice.ensure_held()
    assert rig.stored()["renewals"] == 1
    rig.alice.release()
    assert (rig.stored()["is_held"], rig.stored()["generation"]) == (False, 1)
    assert rig.bob.acquire(OTHER_RUN) == ""
    assert (rig.stored()["owner"], rig.stored()["generation"]) == (BOB, 2)


def test_a_second_operator_is_refused_with_holder_age_and_command(rig: Rig) -> None:
    rig.alice.acquire(RUN)
    began = rig.clock.monotonic()
    with pytest.raises(LeaseHeldError) as caught:
        rig.bob.acquire(OTHER_RUN)
    assert caught.value.exit_code is ExitCode.LEASE_HELD
    assert caught.value.message == (
        f"{ALICE} works on this service since 2026-01-01 00:10:00 UTC by its clock (run {RUN})"
    )
    assert f"drkit resume {RUN}" in caught.value.hint
    assert rig.clock.monotonic() == began


def test_the_same_run_is_taken_over_after_observed_silence(rig: Rig) -> None:
    rig.alice.acquire(RUN)
    began = rig.clock.monotonic()
    assert rig.bob.acquire(RUN) == ALICE
    assert rig.clock.monotonic() - began == SECONDS
    assert rig.stored()["generation"] == 2
    assert rig.notes[0] == f"waiting for {ALICE} to stay silent (0 of 30 s)"


def test_a_holder_that_is_heard_of_keeps_it(rig: Rig) -> None:
    rig.alice.acquire(RUN)
    rig.clock.advance(16)
    rig.there.during_sleep.append(rig.alice.ensure_held)
    began = rig.clock.monotonic()
    with pytest.raises(LeaseHeldError, match="alice"):
        rig.bob.acquire(RUN)
    assert rig.clock.monotonic() - began < 1
    rig.alice.ensure_held()


def test_a_holder_that_releases_meanwhile_is_followed_at_once(rig: Rig) -> None:
    rig.alice.acquire(RUN)
    rig.there.during_sleep.append(rig.alice.release)
    began = rig.clock.monotonic()
    assert rig.bob.acquire(RUN) == ""
    assert rig.clock.monotonic() - began < 1


def test_the_silence_is_as_long_as_the_holder_grants_itself(rig: Rig) -> None:
    rig.lease(ALICE, rig.here, seconds=300).acquire(RUN)
    began = rig.clock.monotonic()
    rig.bob.acquire(RUN)
    assert rig.clock.monotonic() - began == 300


def test_a_process_that_is_known_to_be_dead_is_not_waited_for(rig: Rig) -> None:
    rig.alice.acquire(RUN)
    rig.dead.add(ALICE)
    began = rig.clock.monotonic()
    assert rig.bob.acquire(RUN) == ALICE
    assert rig.clock.monotonic() == began


def test_the_lease_of_a_run_that_is_over_is_taken_after_silence(rig: Rig) -> None:
    rig.alice.acquire(RUN)
    rig.journal.append(ev.StepFailed("pin", "", "", 5, 0.1))
    rig.journal.append(ev.RunFinished(Phase.REFUSED))
    assert rig.bob.acquire(OTHER_RUN) == ALICE


def test_the_lease_of_a_run_that_was_never_begun_is_taken_after_silence(rig: Rig) -> None:
    rig.alice.acquire("20260101t000009z-failover-0a1b")
    assert rig.bob.acquire(OTHER_RUN) == ALICE


def test_what_is_no_run_is_refused_while_its_holder_lives_and_taken_after_silence(rig: Rig) -> None:
    rig.alice.acquire("fence-put")
    rig.clock.advance(16)
    rig.there.during_sleep.append(rig.alice.ensure_held)
    with pytest.raises(LeaseHeldError, match="alice"):
        rig.bob.acquire(RUN)
    rig.there.during_sleep.clear()
    assert rig.bob.acquire(RUN) == ALICE


def test_an_unreadable_run_is_not_taken_for_one_that_is_over(rig: Rig) -> None:
    rig.alice.acquire(RUN)
    rig.store.objects[f"runs/{RUN}/00000000.json"] = b"torn"
    with pytest.raises(LeaseHeldError):
        rig.bob.acquire(OTHER_RUN)


def test_a_frozen_holder_that_wakes_after_a_takeover_has_lost_it(rig: Rig) -> None:
    rig.alice.acquire(RUN)
    rig.bob.acquire(RUN)
    assert not rig.alice.is_believed_held
    with pytest.raises(LeaseLostError, match="bob@there") as caught:
        rig.alice.ensure_held()
    assert caught.value.exit_code is ExitCode.LEASE_LOST
    rig.clock.advance(1000)
    with pytest.raises(LeaseLostError, match="bob@there"):
        rig.alice.ensure_held()
    rig.alice.release()
    assert rig.stored()["owner"] == BOB
    assert rig.stored()["is_held"] is True


def test_a_suspended_machine_renews_before_it_acts_although_its_monotonic_clock_stood_still(rig: Rig) -> None:
    rig.alice.acquire(RUN)
    rig.bob.acquire(RUN)
    rig.here.suspended_seconds = SECONDS
    with pytest.raises(LeaseLostError):
        rig.alice.ensure_held()


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(hours=1)])
def test_a_wall_clock_that_somebody_sets_costs_a_renewal_and_nothing_else(rig: Rig, jump: timedelta) -> None:
    rig.alice.acquire(RUN)
    rig.here.skew += jump
    rig.alice.ensure_held()
    assert rig.stored()["renewals"] == 1
    rig.alice.ensure_held()
    assert rig.stored()["renewals"] == 1


def test_a_lease_that_cannot_be_renewed_stops_the_process(rig: Rig) -> None:
    rig.alice.acquire(RUN)
    rig.store.is_dark = True
    rig.clock.advance(SECONDS - 1)
    rig.alice.ensure_held()
    rig.clock.advance(1)
    with pytest.raises(StateDarkError, match="could not be renewed"):
        rig.alice.ensure_held()
    rig.store.is_dark = False
    rig.alice.ensure_held()


def test_a_deleted_lease_is_lost(rig: Rig) -> None:
    rig.alice.acquire(RUN)
    del rig.store.objects["lease.json"]
    rig.clock.advance(20)
    with pytest.raises(LeaseLostError, match="deleted"):
        rig.alice.ensure_held()


@pytest.mark.parametrize("call", ["create", "replace"])
@pytest.mark.parametrize("fault", [Fault.LOST_ANSWER, Fault.NOT_ARRIVED, Fault.LOST_CONDITION])
def test_an_ambiguous_taking_is_settled_by_reading_back(rig: Rig, call: str, fault: Fault) -> None:
    if call == "replace":
        rig.bob.acquire(RUN)
        rig.bob.release()
    rig.store.on_next(call, fault)
    rig.alice.acquire(RUN)
    rig.alice.ensure_held()
    assert rig.stored()["owner"] == ALICE


@pytest.mark.parametrize("free", [True, False])
def test_two_that_take_it_in_the_same_moment(rig: Rig, free: bool) -> None:
    if not free:
        rig.bob.acquire(RUN)
        rig.bob.release()
    rig.store.on_next("create" if free else "replace", lambda: rig.bob.acquire(RUN))
    with pytest.raises(LeaseHeldError, match="bob"):
        rig.alice.acquire(RUN)
    rig.bob.ensure_held()


def test_a_bucket_that_stays_dark_is_its_own_error(rig: Rig) -> None:
    rig.store.on_next("create", *[Fault.NOT_ARRIVED] * 3)
    with pytest.raises(UnreachableError):
        rig.alice.acquire(RUN)


@pytest.mark.parametrize("fault", [Fault.LOST_ANSWER, Fault.NOT_ARRIVED, Fault.LOST_CONDITION])
def test_an_ambiguous_renewal_is_settled_by_reading_back(rig: Rig, fault: Fault) -> None:
    rig.alice.acquire(RUN)
    rig.clock.advance(20)
    rig.store.on_next("replace", fault)
    rig.alice.ensure_held()
    rig.clock.advance(20)
    rig.alice.ensure_held()
    assert rig.alice.is_believed_held


def test_a_renewal_that_landed_long_ago_is_not_taken_for_one_of_now(rig: Rig) -> None:
    rig.alice.acquire(RUN)
    rig.clock.advance(16)
    # It lands now; its answer and the read-back are lost, so alice does not know.
    rig.store.on_next("replace", Fault.LOST_ANSWER, Fault.NOT_ARRIVED)
    rig.store.on_next("get", Fault.NOT_ARRIVED, Fault.NOT_ARRIVED)
    rig.alice.ensure_held()
    rig.clock.advance(13)
    # Every further write is lost: finding the old one there must not count as a renewal of now.
    rig.store.on_next("replace", Fault.NOT_ARRIVED, Fault.NOT_ARRIVED)
    rig.alice.ensure_held()
    rig.clock.advance(2)
    assert not rig.alice.is_believed_held


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"schema": "drkit.lease/2"}',
        b'{"schema": "drkit.lease/1"}',
        json.dumps(
            {
                "schema": "drkit.lease/1",
                "owner": "x",
                "run_id": RUN,
                "generation": "1",
                "renewals": 0,
                "seconds": 30.0,
                "is_held": False,
                "since": "2026-01-01T00:00:00+00:00",
                "nonce": "x",
            }
        ).encode(),
    ],
)
def test_a_foreign_lease_object_is_refused_and_left_alone(rig: Rig, body: bytes) -> None:
    rig.store.objects["lease.json"] = body
    with pytest.raises(RefusedError):
        rig.alice.acquire(RUN)
    assert rig.store.objects["lease.json"] == body


def test_two_contents_are_never_alike(rig: Rig) -> None:
    seen = set()
    for _ in range(3):
        rig.alice.acquire(RUN)
        seen.add(rig.store.objects["lease.json"])
        rig.clock.advance(20)
        rig.alice.ensure_held()
        seen.add(rig.store.objects["lease.json"])
        rig.alice.release()
        seen.add(rig.store.objects["lease.json"])
    assert len(seen) == 9


def test_without_a_lease_nothing_is_held(rig: Rig) -> None:
    with pytest.raises(LeaseLostError, match="holds no lease"):
        rig.alice.ensure_held()
    rig.alice.release()


def test_it_is_renewed_in_the_background_until_it_is_released() -> None:
    store = FakeObjectStore()
    lease = Lease(store, SystemClock(), owner=ALICE, seconds=0.4, is_gone=lambda _: False)
    lease.acquire(RUN)

    def renewals() -> int:
        return parse_holder(store.objects["lease.json"]).renewals

    # Foreign contents and silence on the way must not end the thread.
    store.on_next("replace", Fault.NOT_ARRIVED)
    eventually(lambda: renewals() >= 3, timeout_seconds=10, because="it is renewed every 0.1 s", every=0.02)
    lease.ensure_held()
    lease.release()
    final = renewals()
    assert not parse_holder(store.objects["lease.json"]).is_held
    with pytest.raises(AssertionError):
        eventually(lambda: renewals() > final, timeout_seconds=0.4, because="it was released", every=0.1)
