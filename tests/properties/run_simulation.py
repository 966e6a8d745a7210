"""Histories of a run, each from a seed: several operators, kills, freezes, lost and late answers, wrong clocks.

The engine is drkit's own: journal, lease, runner, life cycle. The state bucket, the world and time are simulated. Each
operator is a thread, and one of them goes on at a time, until a point where the seed says that another does. What
happens there, the seed says too: so a history can be had again.

What cannot be prevented is left out: a process that is frozen for longer than its lease between the look at the lease
and the effect itself. Every effect is a compare-and-set at its resource for that reason; here time stands still
meanwhile.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from drkit.domain.lifecycle import Phase
from drkit.engine import journal as journals
from drkit.engine.lease import Lease
from drkit.errors import DrkitError, ExitCode
from tests.fakes.aws import FakeObjectStore
from tests.fakes.clock import FakeClock
from tests.fakes.engine import Operator
from tests.fakes.procedure import World
from tests.properties.simulated_ports import (
    LONGEST_FREEZE_SECONDS,
    Broken,
    FailingWorld,
    Resources,
    SimulatedClock,
    StateBucket,
)

Kind = type[Lease]

_SKEW_SECONDS = 600.0
_MOST_POINTS = 6000
_ENDS = frozenset(ExitCode) - {ExitCode.BUG, ExitCode.USAGE, ExitCode.CONFIG, ExitCode.AUTHENTICATION}
_UNFINISHED = frozenset({ExitCode.STOPPED, ExitCode.OUTCOME_UNKNOWN, ExitCode.INTERRUPTED})


def new_baton() -> threading.Lock:
    """Whoever holds it goes on. A bare lock: a semaphore is six times slower, and a history passes it on often."""
    lock = threading.Lock()
    lock.acquire()
    return lock


class KilledError(BaseException):
    """The process is no more."""


@dataclass(frozen=True, slots=True)
class Odds:
    """How likely things are at one point."""

    switch: float = 0.12
    kill: float = 0.004
    freeze: float = 0.015
    delay: float = 0.01
    lost: float = 0.02
    step: float = 0.01
    signal: float = 0.002


CALM = Odds(kill=0, freeze=0, delay=0, lost=0, step=0, signal=0)


@dataclass
class Process:
    """One operator's drkit."""

    history: History
    name: str
    host: str
    command: str
    skew_seconds: float
    lease: Kind
    wakes_at: float = 0.0
    is_dead: bool = False
    is_over: bool = False
    guarded: bool = False
    """Since the last look at the lease, nothing was journaled."""
    ended: str = ""
    operator: Operator = field(init=False)
    baton: threading.Lock = field(default_factory=new_baton)

    def __post_init__(self) -> None:
        """Wire drkit's engine to the simulated ports."""
        world = FailingWorld(Resources(self), self)
        checked = type("Checked", (_Checked, self.lease), {"process": self})
        self.operator = Operator(
            StateBucket(self),
            world,
            SimulatedClock(self),
            owner=self.owner,
            is_gone=self._is_gone,
            lease_kind=checked,
        )

    @property
    def owner(self) -> str:
        """As the lease names it."""
        return f"{self.name}@{self.host} pid 1 started 1"

    def go(self) -> None:
        """The whole life of the process."""
        self.baton.acquire()
        try:
            self._command()
        except KilledError:
            self.ended = "killed"
        except DrkitError as error:
            self._judge(error)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the history has to tell
            self.history.broken = self.history.broken or error
        self.is_over = True
        self.guarded = False
        self.history.baton.release()

    def _command(self) -> None:
        if self.command == "run":
            undo = self.history.rng.random() < 0.5
            self.ended = self.operator.run(undo_on_failure=undo).phase.value
        elif runs := journals.run_ids(self.history.state):
            self.ended = getattr(self.operator, self.command)(runs[0]).phase.value
        else:
            self.ended = "there is no run"

    def _judge(self, error: DrkitError) -> None:
        self.ended = f"{int(error.exit_code)}: {error.message}"
        if error.exit_code not in _ENDS:
            self.history.broken = error
        goes_on = "drkit resume " in error.hint or "drkit abort " in error.hint
        if error.exit_code in _UNFINISHED and not goes_on:
            self.history.broken = Broken(f"no command to go on with: {error.message} ({error.hint})")

    def _is_gone(self, owner: str) -> bool:
        return any(p.is_dead for p in self.history.processes if p.owner == owner and p.host == self.host)


class History:
    """One history. ``lease``: the lease's class, for showing that a broken one is found."""

    def __init__(self, seed: int, lease: Kind = Lease) -> None:
        self.rng = random.Random(seed)
        self.seconds = 0.0
        self.points = 0
        self.odds = Odds()
        self.state, self.world = FakeObjectStore(), FakeObjectStore()
        self.baton = new_baton()
        self.broken: BaseException | None = None
        self.late: list[tuple[float, Callable[[], object]]] = []
        self.lease = lease
        self.processes: list[Process] = []
        self.trace: list[str] = []
        self.deferred: set[str] = set()
        """Steps whose undoing met what did not answer: those before them may be undone first."""
        self._enter("alice", "here", "run", 0.0)
        for name in ("bob", "carol")[: self.rng.choice((0, 1, 2, 2))]:
            host = self.rng.choice(("here", "there"))
            command = self.rng.choice(("resume", "resume", "abort"))
            self._enter(name, host, command, self.rng.choice((0.1, 1.0, 60.0)) * self.rng.random())

    def run(self) -> Phase | None:
        """Live through it; how the run ended, None if none was begun. Raises ``Broken``."""
        self._live()
        self.odds = CALM
        phase = self._finish()
        self._require(phase)
        return phase

    def _finish(self) -> Phase | None:
        """In calm, the command that was named is enough."""
        for attempt in range(2):
            runs = journals.run_ids(self.state)
            state = journals.load(self.state, runs[0]) if runs else None
            if state is None or state.phase.is_final:
                return None if state is None else state.phase
            command = "abort" if state.is_being_undone else "resume"
            self._enter(f"dora{attempt}", "elsewhere", command, self.seconds)
            self._live()
        raise Broken(f"not ended after all: {[(one.name, one.command, one.ended) for one in self.processes]}")

    def _require(self, phase: Phase | None) -> None:
        parts = World(self.world).parts()
        if phase is Phase.SUCCEEDED:
            expected = _calm()
        elif phase in (Phase.UNDONE, Phase.REFUSED, None):
            expected = dict.fromkeys(parts, "off")
        else:
            raise Broken(f"ended {phase}")
        if parts != expected:
            raise Broken(f"{phase}, and the world is {parts}")

    def _enter(self, name: str, host: str, command: str, at: float) -> None:
        skew = self.rng.uniform(-_SKEW_SECONDS, _SKEW_SECONDS)
        process = Process(self, name, host, command, skew, self.lease, wakes_at=at)
        self.processes.append(process)
        threading.Thread(target=process.go, daemon=True).start()

    def _live(self) -> None:
        while any(not one.is_over for one in self.processes):
            waiting = [one for one in self.processes if not one.is_over]
            ready = [one for one in waiting if one.is_dead or one.wakes_at <= self.seconds]
            if not ready:
                self._pass(min(one.wakes_at for one in waiting) - self.seconds)
                continue
            # Time stands still between a look at the lease and the effect.
            guarded = [one for one in ready if one.guarded]
            self.rng.choice(guarded or ready).baton.release()
            self.baton.acquire()
            if self.broken is not None:
                self._end()
                raise Broken(f"{type(self.broken).__name__}: {self.broken}") from self.broken
        self._pass(LONGEST_FREEZE_SECONDS)

    def _end(self) -> None:
        """Let every thread out."""
        for one in self.processes:
            one.is_dead = True
            while not one.is_over:
                one.baton.release()
                self.baton.acquire()

    def _pass(self, seconds: float) -> None:
        self.seconds += max(0.0, seconds)
        due = [arrive for at, arrive in self.late if at <= self.seconds]
        self.late = [one for one in self.late if one[0] > self.seconds]
        for arrive in due:
            arrive()

    def point(self, process: Process, what: str) -> None:
        """Something may happen here."""
        if process.is_dead:
            raise KilledError
        self.points += 1
        if self.points > _MOST_POINTS:
            self.odds = CALM
        self.tell(process, what)
        self._pass(0.0 if process.guarded else self.rng.random() * 0.02)
        if self.rng.random() < self.odds.signal:
            process.operator.interrupt.signal_name = "SIGTERM"
        if self.rng.random() < self.odds.kill:
            process.is_dead = True
            self.tell(process, "is killed")
            raise KilledError
        if not process.guarded and self.rng.random() < self.odds.freeze:
            process.wakes_at = (
                self.seconds + self.rng.choice((0.2, 0.2, 1.0)) * self.rng.random() * LONGEST_FREEZE_SECONDS
            )
            self.tell(process, f"is frozen until {process.wakes_at:.2f}")
            self.give_up_turn(process)
        elif self.rng.random() < self.odds.switch:
            self.give_up_turn(process)

    def tell(self, process: Process, what: str) -> None:
        """Put it into the trace."""
        self.trace.append(f"{self.seconds:8.2f} {process.name} {what}")

    def give_up_turn(self, process: Process) -> None:
        """Somebody else's turn; back when it is this one's again."""
        self.baton.release()
        process.baton.acquire()
        if process.is_dead:
            raise KilledError


class _Checked:
    """A lease whose word is held against what is stored."""

    process: Process

    def ensure_held(self) -> None:
        super().ensure_held()  # type: ignore[misc]
        holder = json.loads(self.process.history.state.objects["lease.json"])
        if holder["owner"] != self.process.owner:
            raise Broken(f"{self.process.name} believes in its lease, and {holder['owner']} has it")
        self.process.guarded = True


@cache
def _calm() -> dict[str, str]:
    """The world after a run to which nothing happened."""
    world = World(FakeObjectStore())
    Operator(FakeObjectStore(), world, FakeClock()).run()
    return world.parts()
