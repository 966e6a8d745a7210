"""The faults that the fakes can be told to have are the ones that the real ones have."""

from __future__ import annotations

import pytest

from drkit.errors import StalePlanError, UnknownOutcomeError, UnreachableError
from drkit.ports import PreconditionFailed, ProbeStatus
from tests.fakes.aws import FakeObjectStore, FakeRedirect
from tests.fakes.clock import FakeClock
from tests.fakes.probes import FakeProbe
from tests.fakes.scripted import Fault


def test_a_lost_answer_has_had_its_effect() -> None:
    store = FakeObjectStore()
    store.on_next("create", Fault.LOST_ANSWER)
    with pytest.raises(UnreachableError):
        store.create("a", b"1")
    assert store.objects == {"a": b"1"}
    with pytest.raises(PreconditionFailed):
        store.create("a", b"1")


def test_what_did_not_arrive_has_had_none() -> None:
    store = FakeObjectStore()
    store.on_next("create", Fault.NOT_ARRIVED)
    with pytest.raises(UnreachableError):
        store.create("a", b"1")
    assert store.objects == {}
    store.create("a", b"2")
    assert store.calls == [("create", "a"), ("create", "a")]


def test_somebody_else_comes_first() -> None:
    store = FakeObjectStore()
    store.on_next("create", lambda: store.objects.update(a=b"other"))
    with pytest.raises(PreconditionFailed):
        store.create("a", b"1")
    assert store.objects == {"a": b"other"}


def test_a_lost_condition_and_the_dark() -> None:
    store = FakeObjectStore()
    store.on_next("create", Fault.LOST_CONDITION)
    with pytest.raises(PreconditionFailed):
        store.create("a", b"1")
    store.is_dark = True
    for call in (lambda: store.get("a"), lambda: store.create("a", b""), lambda: list(store.list(""))):
        with pytest.raises(UnreachableError):
            call()
    store.is_dark = False
    assert store.get("a") is None


def _redirect() -> FakeRedirect:
    return FakeRedirect("kafka A", {"x": ("10.0.0.1",), "y": ("10.1.0.1",)}, at="x")


def test_servers_follow_when_a_change_is_in_sync() -> None:
    target = _redirect()
    target.pending_asks = 2
    change = target.switch(target.observe(), "y")
    assert set(target.answers().values()) == {("10.0.0.1",)}
    assert [target.is_in_sync(change) for _ in range(3)] == [False, False, True]
    target.silent = {"ns2"}
    assert target.answers() == {"ns1": ("10.1.0.1",), "ns2": ()}


def test_a_switch_whose_answer_is_lost_and_one_that_comes_second() -> None:
    target = _redirect()
    before = target.observe()
    target.on_next("switch", Fault.LOST_ANSWER)
    with pytest.raises(UnknownOutcomeError):
        target.switch(before, "y")
    assert target.observe().values == ("10.1.0.1",)
    target = _redirect()
    target.on_next("switch", lambda: target.change_by_another("10.9.9.9"))
    with pytest.raises(StalePlanError):
        target.switch(before, "y")


def test_time_passes_only_when_it_is_told_to() -> None:
    clock = FakeClock()
    before, at = clock.monotonic(), clock.now()
    clock.sleep(2)
    clock.advance(0.5)
    assert clock.monotonic() - before == 2.5
    assert (clock.now() - at).total_seconds() == 2.5
    assert clock.slept_seconds == [2]


def test_a_probe_repeats_its_last_answer() -> None:
    probe = FakeProbe("orders", [ProbeStatus.DOWN, ProbeStatus.UP])
    assert [probe.ask().status for _ in range(3)] == [ProbeStatus.DOWN, ProbeStatus.UP, ProbeStatus.UP]
