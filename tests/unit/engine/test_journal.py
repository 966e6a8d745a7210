"""The journal: appended conditionally, settled by reading back, read strictly."""

from __future__ import annotations

import re

import pytest

from drkit.domain import run_events as ev
from drkit.domain.lifecycle import LifecycleError
from drkit.domain.run_entries import JournalError, parse
from drkit.engine import journal as journals
from drkit.engine.journal import Journal, StateDarkError
from drkit.errors import AuthError, LeaseLostError, RefusedError, UnreachableError, UsageError
from tests.fakes.aws import FakeObjectStore
from tests.fakes.clock import FakeClock
from tests.fakes.procedure import World, planned, procedure
from tests.fakes.scripted import Fault

PLAN = planned(procedure(World(FakeObjectStore())))
PIN = ev.StepSucceeded("pin", {}, 0.1, satisfied=True)
RUN_ID = "20260101t000000z-failover-0a1b"
FIRST, SECOND = f"runs/{RUN_ID}/00000000.json", f"runs/{RUN_ID}/00000001.json"


class Rig:
    """A journal on a fake bucket, and its local copy."""

    def __init__(self) -> None:
        self.store = FakeObjectStore()
        self.clock = FakeClock()
        self.lines: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self.disk_is_full = False
        self.journal = self.open()

    def open(self) -> Journal:
        """The journal of a new run."""
        return Journal(
            self.store,
            self._append_locally,
            self.clock,
            run_id=RUN_ID,
            deadline_seconds=20,
            note=self.notes.append,
        )

    def _append_locally(self, run_id: str, line: str) -> None:
        if self.disk_is_full:
            raise RefusedError("cannot append: no space left on device")
        self.lines.append((run_id, line))


@pytest.fixture(name="rig")
def _rig() -> Rig:
    return Rig()


def test_each_event_is_an_object_and_a_line(rig: Rig) -> None:
    rig.journal.append(PLAN)
    state = rig.journal.append(PIN)
    assert list(rig.store.objects) == [FIRST, SECOND]
    assert rig.lines == [(RUN_ID, rig.store.objects[key].decode()) for key in (FIRST, SECOND)]
    assert parse(rig.store.objects[SECOND]).entry.previous == parse(rig.store.objects[FIRST]).digest
    assert journals.load(rig.store, RUN_ID) == state == rig.journal.state


@pytest.mark.parametrize(
    "faults",
    [
        [Fault.LOST_ANSWER],
        [Fault.NOT_ARRIVED],
        [Fault.LOST_CONDITION],
        [Fault.NOT_ARRIVED, Fault.NOT_ARRIVED, Fault.LOST_ANSWER],
        [Fault.NOT_ARRIVED, Fault.LOST_CONDITION],
    ],
)
@pytest.mark.parametrize("reading", [[], [Fault.NOT_ARRIVED], [Fault.NOT_ARRIVED, Fault.NOT_ARRIVED]])
def test_an_ambiguous_answer_is_settled_by_reading_back(rig: Rig, faults: list[Fault], reading: list[Fault]) -> None:
    rig.store.on_next("create", *faults)
    rig.store.on_next("get", *reading)
    rig.journal.append(PLAN)
    rig.journal.append(PIN)
    assert list(rig.store.objects) == [FIRST, SECOND]
    assert len(rig.lines) == 2


@pytest.mark.parametrize("foreign", [b"", b"{}", b"not json"])
@pytest.mark.parametrize("faults", [[], [Fault.LOST_ANSWER], [Fault.NOT_ARRIVED]])
def test_a_taken_place_ends_the_process_at_once(rig: Rig, foreign: bytes, faults: list[Fault]) -> None:
    rig.journal.append(PLAN)
    rig.store.objects[SECOND] = foreign
    rig.store.on_next("get", *faults)
    with pytest.raises(LeaseLostError, match="another process has written"):
        rig.journal.append(PIN)
    assert rig.store.objects[SECOND] == foreign
    assert len(rig.lines) == 1


def test_the_next_place_is_never_tried_after_a_loss(rig: Rig) -> None:
    rig.journal.append(PLAN)
    rig.store.objects[SECOND] = b"somebody else's"
    for _ in range(3):
        with pytest.raises(LeaseLostError):
            rig.journal.append(PIN)
    assert list(rig.store.objects) == [FIRST, SECOND]


def test_a_dark_bucket_stops_after_the_deadline(rig: Rig) -> None:
    rig.journal.append(PLAN)
    rig.store.is_dark = True
    began = rig.clock.monotonic()
    with pytest.raises(StateDarkError, match="takes no events") as caught:
        rig.journal.append(PIN)
    assert 15 < rig.clock.monotonic() - began <= 20
    assert f"drkit resume {RUN_ID}" in caught.value.hint


def test_an_event_in_flight_may_arrive_after_the_process_gave_up(rig: Rig) -> None:
    rig.journal.append(PLAN)
    rig.store.on_next("create", Fault.LOST_ANSWER)
    rig.store.on_next("get", *[Fault.NOT_ARRIVED] * 100)
    rig.store.on_next("create", *[Fault.NOT_ARRIVED] * 100)
    with pytest.raises(StateDarkError):
        rig.journal.append(PIN)
    rig.store._scripts.clear()
    assert journals.load(rig.store, RUN_ID).steps["pin"].is_done


def test_before_the_first_event_the_buckets_own_error_is_raised(rig: Rig) -> None:
    rig.store.is_dark = True
    with pytest.raises(UnreachableError):
        rig.journal.append(PLAN)
    with pytest.raises(ValueError, match="nothing was journaled"):
        _ = rig.journal.state


def test_a_refusing_bucket_stops_without_waiting(rig: Rig) -> None:
    rig.journal.append(PLAN)

    def expire() -> None:
        raise AuthError("the token has expired")

    rig.store.on_next("create", expire)
    began = rig.clock.monotonic()
    with pytest.raises(StateDarkError, match="token has expired"):
        rig.journal.append(PIN)
    assert rig.clock.monotonic() == began


def test_an_event_that_cannot_happen_is_not_written(rig: Rig) -> None:
    rig.journal.append(PLAN)
    with pytest.raises(LifecycleError):
        rig.journal.append(ev.StepSucceeded("cut", {}, 0.1, satisfied=True))
    assert list(rig.store.objects) == [FIRST]


def test_a_full_disk_is_said_and_stops_nothing(rig: Rig) -> None:
    rig.disk_is_full = True
    rig.journal.append(PLAN)
    assert rig.journal.append(PIN).steps["pin"].is_done
    assert rig.notes == ["the local copy of the journal is incomplete: cannot append: no space left on device"] * 2


class TestLoad:
    @pytest.fixture(name="store")
    def _store(self, rig: Rig) -> FakeObjectStore:
        rig.journal.append(PLAN)
        for event in (PIN, ev.StepStarted("snapshot", "x"), ev.StepSucceeded("snapshot", {}, 0.1, satisfied=False)):
            rig.journal.append(event)
        return rig.store

    def test_a_report_beside_the_entries_is_no_entry(self, store: FakeObjectStore) -> None:
        store.objects[f"runs/{RUN_ID}/report.json"] = b"{}"
        assert journals.load(store, RUN_ID).next_seq == 4

    @pytest.mark.parametrize("missing", [0, 1, 2])
    def test_a_gap_is_refused(self, store: FakeObjectStore, missing: int) -> None:
        del store.objects[f"runs/{RUN_ID}/{missing:08d}.json"]
        with pytest.raises(JournalError, match=f"{missing:08d}.json is missing"):
            journals.load(store, RUN_ID)

    def test_a_duplicate_is_refused(self, store: FakeObjectStore) -> None:
        store.objects[f"runs/{RUN_ID}/00000004.json"] = store.objects[f"runs/{RUN_ID}/00000003.json"]
        with pytest.raises(JournalError, match="holds entry 3"):
            journals.load(store, RUN_ID)

    @pytest.mark.parametrize("name", ["notes.txt", "4.json", "000000004.json", "00000004.json.bak", "x/00000004.json"])
    def test_a_foreign_object_is_refused(self, store: FakeObjectStore, name: str) -> None:
        store.objects[f"runs/{RUN_ID}/{name}"] = b"{}"
        with pytest.raises(JournalError, match=re.escape(name)):
            journals.load(store, RUN_ID)

    def test_a_torn_object_is_refused(self, store: FakeObjectStore) -> None:
        store.objects[SECOND] = store.objects[SECOND][:40]
        with pytest.raises(JournalError, match=r"00000001\.json is torn"):
            journals.load(store, RUN_ID)

    def test_another_runs_entry_is_refused(self, store: FakeObjectStore) -> None:
        other = "20260101t000001z-failover-0a1b"
        for seq in range(2):
            store.objects[f"runs/{other}/{seq:08d}.json"] = store.objects[f"runs/{RUN_ID}/{seq:08d}.json"]
        with pytest.raises(JournalError, match="holds entry 0 of"):
            journals.load(store, other)

    def test_no_run_and_no_run_id(self, store: FakeObjectStore) -> None:
        with pytest.raises(RefusedError, match="there is no run"):
            journals.load(store, "20260101t000009z-failover-0a1b")
        for text in ("", "../../etc", "x", f"{RUN_ID}/"):
            with pytest.raises(UsageError):
                journals.load(store, text)


def test_runs_are_listed_newest_first() -> None:
    store = FakeObjectStore()
    ids = [f"2026010{day}t000000z-failover-0a1b" for day in (1, 3, 2)]
    for run_id in [*ids, "not-a-run"]:
        store.create(f"runs/{run_id}/00000000.json", b"x")
    assert journals.run_ids(store) == sorted(ids, reverse=True)


def test_a_run_id_sorts_behind_the_newest_also_when_the_clock_is_late() -> None:
    clock = FakeClock()
    assert re.fullmatch(r"20260101t000000z-failover-[0-9a-f]{4}", journals.new_run_id(clock, "failover"))
    newest = "20260101t001000z-switchover-ffff"
    later = journals.new_run_id(clock, "failover", after=newest)
    assert re.fullmatch(r"20260101t001001z-failover-[0-9a-f]{4}", later)
    assert later > newest
    assert journals.new_run_id(clock, "failover", after="20250101t000000z-failover-0000").startswith("20260101t000000z")
