"""Two operators, one lease: whatever is lost, late, frozen or crashed, they never both believe that they hold it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from drkit.engine.lease import Lease
from drkit.errors import DrkitError, LeaseHeldError, LeaseLostError, UnreachableError
from drkit.ports import PreconditionFailed
from tests.fakes.aws import FakeObjectStore
from tests.fakes.clock import FakeClock
from tests.fakes.machine import Machine
from tests.fakes.scripted import Fault

SECONDS = 30.0
RUN = "20260101t000000z-failover-0a1b"
OWNERS = ("alice", "bob")

owners = st.sampled_from(OWNERS)
waits = st.sampled_from([0.1, 1.0, 7.0, 14.0, 16.0, 29.0, 30.0, 31.0, 100.0])


class LateStore(FakeObjectStore):
    """Writes may get no answer and land later, or never; the writer may be frozen between landing and answer."""

    def __init__(self) -> None:
        super().__init__()
        self.delay_next = False
        self.before_answer: list[Callable[[], object]] = []
        self.late: list[tuple[str, bytes, str | None]] = []

    def create(self, key: str, body: bytes) -> str:
        self._delayed(key, body, None)
        try:
            return super().create(key, body)
        finally:
            self._frozen()

    def replace(self, key: str, body: bytes, etag: str) -> str:
        self._delayed(key, body, etag)
        try:
            return super().replace(key, body, etag)
        finally:
            self._frozen()

    def land(self) -> None:
        """The oldest late write arrives."""
        key, body, etag = self.late.pop(0)
        try:
            if etag is None:
                super().create(key, body)
            else:
                super().replace(key, body, etag)
        except (PreconditionFailed, UnreachableError):
            return

    def _delayed(self, key: str, body: bytes, etag: str | None) -> None:
        if self.delay_next:
            self.delay_next = False
            self.late.append((key, body, etag))
            raise UnreachableError("late")

    def _frozen(self) -> None:
        while self.before_answer:
            self.before_answer.pop()()


class TwoOperators(RuleBasedStateMachine):
    """Everything that can happen to two processes and the bucket between them."""

    @initialize()
    def start(self) -> None:
        self.store = LateStore()
        self.time = FakeClock()
        self.machines = {
            "alice": Machine(self.time, timedelta(minutes=10)),
            "bob": Machine(self.time, timedelta(minutes=-10)),
        }
        self.leases = {owner: self.lease(owner) for owner in OWNERS}

    def lease(self, owner: str) -> Lease:
        """A process of this owner."""
        clock = self.machines[owner]
        return Lease(self.store, clock, owner=owner, seconds=SECONDS, is_gone=lambda _: False, background=False)

    @rule(owner=owners, beats=st.lists(st.booleans(), max_size=70), asleep=st.booleans())
    def acquire(self, owner: str, beats: list[bool], asleep: bool) -> None:
        """Take or take over; while this one watches, the other now and then renews, or its machine is suspended."""
        other = OWNERS[1 - OWNERS.index(owner)]
        turns = iter(beats)
        machine = self.machines[owner]

        def others_turn() -> None:
            if asleep:
                self.machines[other].suspended_seconds += 0.5
            elif next(turns, False):
                self.beat(other)
            self.never_both()

        machine.during_sleep = [others_turn]
        try:
            self.leases[owner].acquire(RUN)
        except (LeaseHeldError, UnreachableError):
            pass
        finally:
            machine.during_sleep = []

    @rule(owner=owners, taking=st.booleans())
    def freeze_in_a_call(self, owner: str, taking: bool) -> None:
        """This one's next write lands, and before it learns of it the other one watches and takes over."""
        other = OWNERS[1 - OWNERS.index(owner)]
        self.store.before_answer = [lambda: self.acquire(other, [], asleep=False)]
        if taking:
            self.acquire(owner, [], asleep=False)
        else:
            self.time.advance(SECONDS / 2 + 1)
            self.beat(owner)
        self.store.before_answer = []

    @rule(owner=owners)
    def beat(self, owner: str) -> None:
        """What the background does, and what is done before every effect."""
        lease = self.leases[owner]
        believed = lease.is_believed_held
        try:
            lease.ensure_held()
        except LeaseLostError:
            assert not lease.is_believed_held
        except DrkitError:
            assert not believed or not lease.is_believed_held
        else:
            assert lease.is_believed_held

    @rule(seconds=waits)
    def time_passes(self, seconds: float) -> None:
        """Everybody is frozen for so long."""
        self.time.advance(seconds)

    @rule(owner=owners, seconds=waits)
    def suspend(self, owner: str, seconds: float) -> None:
        """A machine sleeps: its monotonic clock stands still meanwhile."""
        self.time.advance(seconds)
        self.machines[owner].suspended_seconds += seconds

    @rule(owner=owners)
    def release(self, owner: str) -> None:
        """The process ends in order."""
        self.leases[owner].release()

    @rule(owner=owners)
    def crash(self, owner: str) -> None:
        """The process is killed, and somebody starts another one."""
        self.leases[owner] = self.lease(owner)

    @rule(
        call=st.sampled_from(["create", "replace"]),
        fault=st.sampled_from([Fault.LOST_ANSWER, Fault.NOT_ARRIVED, Fault.LOST_CONDITION]),
    )
    def lose(self, call: str, fault: Fault) -> None:
        """The next write gets no answer, or a wrong one."""
        self.store.on_next(call, fault)

    @rule()
    def lose_reading(self) -> None:
        """The next read gets no answer."""
        self.store.on_next("get", Fault.NOT_ARRIVED)

    @rule()
    def delay(self) -> None:
        """The next write lands later."""
        self.store.delay_next = True

    @precondition(lambda self: self.store.late)
    @rule()
    def land(self) -> None:
        """A late write lands."""
        self.store.land()

    @invariant()
    def never_both(self) -> None:
        """The whole point."""
        if hasattr(self, "leases"):
            assert sum(lease.is_believed_held for lease in self.leases.values()) <= 1


TwoOperators.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestTwoOperators = TwoOperators.TestCase
