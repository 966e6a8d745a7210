"""The engine as ``drkit.procedures.service`` puts it together, over any object store."""

from __future__ import annotations

from collections.abc import Callable

from drkit.domain.runs import RunState
from drkit.engine import journal as journals
from drkit.engine.interrupt import Interrupt
from drkit.engine.journal import Journal, LocalCopy
from drkit.engine.lease import IsGone, Lease
from drkit.engine.listener import RunListener
from drkit.engine.runner import Runner
from drkit.engine.step import Procedure
from drkit.engine.takeover import Purpose
from drkit.ports import Clock, ObjectStore
from tests.fakes.procedure import Watcher, World, planned, procedure

LEASE_SECONDS = 30.0


class Operator:
    """One drkit process: its own lease and interrupt, on the shared state and the shared world."""

    def __init__(
        self,
        state: ObjectStore,
        world: World,
        clock: Clock,
        *,
        owner: str = "alice@here pid 1 started 1",
        is_gone: IsGone = lambda _: False,
        local: LocalCopy = lambda _run_id, _line: None,
        listener: RunListener | None = None,
        compose: Callable[[World], Procedure] = procedure,
        background: bool = False,
        lease_seconds: float = LEASE_SECONDS,
        journal_seconds: float = 30.0,
        lease_kind: type[Lease] = Lease,
    ) -> None:
        self.store = state
        self.clock = clock
        self.owner = owner
        self.local = local
        self.watcher = Watcher()
        self.listener: RunListener = listener or self.watcher
        self.interrupt = Interrupt()
        self.procedure = compose(world)
        self._journal_seconds = journal_seconds
        self.lease = lease_kind(
            state, clock, owner=owner, seconds=lease_seconds, is_gone=is_gone, background=background
        )

    def run(self, *, undo_on_failure: bool = False, run_id: str | None = None) -> RunState:
        """Begin a run and run it."""
        run_id = run_id or journals.new_run_id(self.clock, self.procedure.name)
        self.lease.acquire(run_id)
        try:
            journal = self._journal(run_id, None)
            journal.append(planned(self.procedure, undo_on_failure=undo_on_failure))
            with self.interrupt.installed():
                return self._runner(journal).run()
        finally:
            self.lease.release()

    def resume(self, run_id: str | None = None) -> RunState:
        """Go on with a run: the newest."""
        return self._continue("resume", run_id)

    def abort(self, run_id: str | None = None) -> RunState:
        """Undo a run: the newest."""
        return self._continue("abort", run_id)

    def state(self, run_id: str | None = None) -> RunState:
        """A run as its journal has it: the newest."""
        return journals.load(self.store, run_id or journals.run_ids(self.store)[0])

    def _continue(self, purpose: Purpose, run_id: str | None) -> RunState:
        run_id = run_id or journals.run_ids(self.store)[0]
        previous = self.lease.acquire(run_id)
        try:
            runner = self._runner(self._journal(run_id, journals.load(self.store, run_id)))
            with self.interrupt.installed():
                runner.take_over(self.owner, purpose, previous)
                if purpose == "abort":
                    return runner.abort("asked for by the operator")
                return runner.resume()
        finally:
            self.lease.release()

    def _journal(self, run_id: str, state: RunState | None) -> Journal:
        return Journal(
            self.store,
            self.local,
            self.clock,
            run_id=run_id,
            state=state,
            deadline_seconds=self._journal_seconds,
            note=self.listener.note,
        )

    def _runner(self, journal: Journal) -> Runner:
        return Runner(self.procedure, journal, self.lease, self.clock, self.listener, self.interrupt)
