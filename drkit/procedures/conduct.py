"""A procedure under its journal and the lease on the service: begun, gone on with, undone; never beside another one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NoReturn

from drkit.domain import run_events as ev
from drkit.domain.mode import FailoverMode
from drkit.domain.runs import RunState
from drkit.engine import journal as journals
from drkit.engine.interrupt import Interrupt
from drkit.engine.journal import Journal, LocalCopy
from drkit.engine.lease import Lease
from drkit.engine.listener import RunListener
from drkit.engine.runner import GivesWay, Runner
from drkit.engine.step import Procedure
from drkit.engine.takeover import Purpose
from drkit.ports import Clock, Progress
from drkit.procedures.answers import RunReport, ThisProcess, UnfinishedRun
from drkit.procedures.run_history import RunHistory
from drkit.procedures.supersession import beside_unfinished, give_up
from drkit.steps.world import World

GivingWay = Callable[[ev.RunPlanned], AbstractContextManager[GivesWay]]
"""Around a run: whether it gives way to another one once a step has failed."""


@contextmanager
def never_gives_way(_: ev.RunPlanned) -> Iterator[GivesWay]:
    """Around a run that nothing takes the place of."""
    yield lambda: False


class Conductor:
    """Begins runs of one service, and goes on with them."""

    def __init__(
        self,
        *,
        world: World,
        interrupt: Interrupt,
        clock: Clock,
        local_copy: LocalCopy,
        config_path: str,
        process: ThisProcess,
    ) -> None:
        self._world = world
        self._interrupt = interrupt
        self._clock = clock
        self._local_copy = local_copy
        self._config_path = config_path
        self._process = process
        self.history = RunHistory(world.store)

    def planned(
        self,
        procedure: Procedure,
        mode: FailoverMode,
        source: str,
        target: str,
        *,
        options: Mapping[str, Any],
        document: Mapping[str, Any],
        undo_on_failure: bool,
        supersedes: str | None = None,
    ) -> ev.RunPlanned:
        """What a run goes on record with. ``options``: what was asked for; ``document``: the plan as it was shown."""
        settings = self._world.settings
        return ev.RunPlanned(
            procedure=procedure.name,
            mode=mode,
            source=source,
            target=target,
            steps=procedure.identities,
            no_return_after=procedure.no_return_after,
            options={k: v for k, v in options.items() if v not in (None, False)} | self._world.kept_in,
            objectives=settings.objectives.model_dump(mode="json"),
            plan_digest=_digest(json.dumps(document, sort_keys=True)),
            settings_digest=_digest(settings.model_dump_json()),
            config_path=self._config_path,
            operator=self._process.operator,
            undo_on_failure=undo_on_failure,
            supersedes=supersedes,
        )

    def begin(
        self,
        planned: ev.RunPlanned,
        procedure: Procedure,
        listener: RunListener,
        giving_way: GivingWay = never_gives_way,
    ) -> RunReport:
        """Begin a run and do all of it. Raises as ``Runner.run``."""
        newest = self.history.newest
        run_id = journals.new_run_id(self._clock, procedure.name, after=newest)
        journal = self._journal(run_id, None, listener)
        lease = self._lease(listener.note)
        lease.acquire(run_id, instead_of=planned.supersedes)
        try:
            self.refuse_beside_unfinished(but=planned.supersedes)
            journal.append(planned)
            self._give_up(planned.supersedes, run_id, listener)
            with giving_way(planned) as gives_way, self._interrupt.installed():
                runner = Runner(procedure, journal, lease, self._clock, listener, self._interrupt, gives_way=gives_way)
                return RunReport.of(runner.run())
        finally:
            lease.release()

    def go_on(
        self,
        run: UnfinishedRun,
        compose: Callable[[ev.RunPlanned], Procedure],
        listener: RunListener,
        verb: Purpose,
        *,
        target_is_gone: bool = False,
        giving_way: GivingWay = never_gives_way,
    ) -> RunReport:
        """Take a run over, and resume or abort it. Raises as ``Runner.resume`` and ``Runner.abort``."""
        lease = self._lease(listener.note)
        previous = lease.acquire(run.run_id)
        try:
            state = self.history.load(run.run_id)
            plan = state.plan
            if plan.settings_digest != _digest(self._world.settings.model_dump_json()):
                listener.note(f"the configuration is not the one that run {run.run_id} was planned with")
            procedure = compose(plan)
            journal = self._journal(run.run_id, state, listener)
            with giving_way(plan) as gives_way, self._interrupt.installed():
                runner = Runner(procedure, journal, lease, self._clock, listener, self._interrupt, gives_way=gives_way)
                self._give_up(plan.supersedes, run.run_id, listener)
                runner.take_over(self._process.owner, verb, previous, run.accepted)
                if verb == "abort":
                    return RunReport.of(runner.abort("asked for by the operator", target_is_gone=target_is_gone))
                return RunReport.of(runner.resume())
        finally:
            lease.release()

    @contextmanager
    def alone(self, purpose: str, progress: Progress = lambda _: None) -> Iterator[None]:
        """While it is entered nobody else changes the service. Raises ``RefusedError`` beside an unfinished run."""
        self.refuse_beside_unfinished()
        self._world.require_state()
        lease = self._lease(progress)
        lease.acquire(purpose)
        try:
            # Whoever had the lease until now may have left a run behind.
            self.refuse_beside_unfinished()
            yield
        finally:
            lease.release()

    def refuse_beside_unfinished(self, but: str | None = None) -> None:
        """Raise ``RefusedError`` while a run is unfinished (``but``: not counting this one)."""
        found = self.history.unfinished()
        if found is not None and found.run_id != but:
            self.refuse_beside(found)

    def refuse_beside(self, found: RunState) -> NoReturn:
        """Raise what forbids to begin anything beside this run."""
        # Somebody may be at it right now: then the lease says who.
        self._lease(lambda _: None).refuse_if_held(found.run_id)
        raise beside_unfinished(found)

    def _journal(self, run_id: str, state: RunState | None, listener: RunListener) -> Journal:
        return Journal(
            self._world.store,
            self._local_copy,
            self._clock,
            run_id=run_id,
            state=state,
            deadline_seconds=self._world.settings.timeouts.journal_seconds,
            note=listener.note,
        )

    def _lease(self, progress: Progress) -> Lease:
        return Lease(
            self._world.store,
            self._clock,
            owner=self._process.owner,
            seconds=self._world.settings.timeouts.lease_seconds,
            is_gone=self._process.is_gone,
            progress=progress,
        )

    def _give_up(self, run_id: str | None, by: str, listener: RunListener) -> None:
        if run_id is not None:
            give_up(self._journal(run_id, self.history.load(run_id), listener), by)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
