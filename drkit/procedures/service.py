"""One service as the command line sees it: plan, run, resume, abort, status, check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from functools import partial
from typing import Any

from drkit.config.mirror_templates import flow_of
from drkit.domain.failback_steps import Places
from drkit.domain.lifecycle import Phase
from drkit.domain.mode import FailoverMode
from drkit.domain.run_events import RunPlanned
from drkit.domain.runs import RESTORE
from drkit.domain.schedules import JobSpec
from drkit.domain.status import LastRun
from drkit.engine.interrupt import Interrupt
from drkit.engine.journal import LocalCopy
from drkit.engine.listener import RunListener
from drkit.engine.step import Procedure
from drkit.errors import DrkitError, RefusedError
from drkit.ports import Clock, Progress
from drkit.procedures.answers import RunReport, ThisProcess, UnfinishedRun
from drkit.procedures.conduct import Conductor, GivingWay
from drkit.procedures.failover import Gone, Parts, compose
from drkit.procedures.going_over import Choice, giving_way
from drkit.procedures.inspection import Inspection
from drkit.procedures.plan import Plan, Planner, Request
from drkit.procedures.restoring import Restoring
from drkit.procedures.scheduled_jobs import BackupJob, LookJob
from drkit.procedures.serve import BackupService, Outside, ScheduledJob, Terms
from drkit.procedures.supersession import in_place_of
from drkit.procedures.watch import MOST_READ, Look, Watch
from drkit.procedures.watch_loop import watch_on
from drkit.reports.run_report import report
from drkit.steps.world import World
from drkit.verification.failback import FailbackSettings
from drkit.verification.sides import CompareSettings


class Service(Inspection):
    """Everything that commands ask of one service."""

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
        super().__init__(world, clock)
        self._interrupt = interrupt
        self._process = process
        self._conductor = Conductor(
            world=world,
            interrupt=interrupt,
            clock=clock,
            local_copy=local_copy,
            config_path=config_path,
            process=process,
        )
        self._history = self._conductor.history
        self.restoring = Restoring(world, self._readings, self._conductor)
        """Restores of backups."""

    def plan(self, request: Request) -> Plan:
        """Plan a move. Raises ``RefusedError`` while a run is unfinished that the move does not take the place of."""
        unfinished = self._history.unfinished() if request.target in self.settings.regions else None
        if unfinished is not None and not request.supersede:
            self._conductor.refuse_beside(unfinished)
        self._world.require_state()

        def composed(name: str, mode: FailoverMode, source: str, target: str) -> Procedure:
            return self._compose(name, mode, source, target, Gone(request.source_is_gone, request.mirror_is_gone))

        plan = Planner(self._world, self._record, self._readings, composed).plan(request)
        return plan if unfinished is None else in_place_of(plan, unfinished)

    def run(
        self, plan: Plan, listener: RunListener, *, undo_on_failure: bool, if_source_dies: Choice | None = None
    ) -> RunReport:
        """Run a plan.

        Raises ``SourceDiedError`` for a planned one that stopped as its source died, where ``if_source_dies`` says so.
        """
        planned = self._conductor.planned(
            plan.procedure,
            plan.mode,
            plan.source,
            plan.target,
            options=asdict(plan.request),
            document=plan.document,
            undo_on_failure=undo_on_failure and plan.mode is FailoverMode.PLANNED,
            supersedes=plan.supersedes,
        )
        return self._conductor.begin(planned, plan.procedure, listener, self._giving_way(if_source_dies))

    def unfinished_run(self, run_id: str | None) -> UnfinishedRun:
        """The run to resume or abort: the named one, else the newest. Raises ``RefusedError`` if it is over."""
        return UnfinishedRun(self._history.to_go_on_with(run_id, self._world.stand_in))

    def resume(self, run: UnfinishedRun, listener: RunListener, *, if_source_dies: Choice | None = None) -> RunReport:
        """Go on with a run. One that is being undone can only be aborted. Raises as ``run`` does."""
        if run.state.phase in (Phase.UNDOING, Phase.UNDO_STOPPED):
            raise RefusedError(f"run {run.run_id} is being undone", hint=f"drkit abort {run.run_id} goes on with that")
        gives_way = self._giving_way(if_source_dies)
        return self._conductor.go_on(run, self._composed, listener, "resume", giving_way=gives_way)

    def abort(self, run: UnfinishedRun, listener: RunListener, *, target_is_gone: bool = False) -> RunReport:
        """Undo a run. ``target_is_gone``: also where nobody can tell whether applications wrote to the target."""
        return self._conductor.go_on(run, self._composed, listener, "abort", target_is_gone=target_is_gone)

    def watch(
        self, show: Callable[[Look], None], *, every_seconds: float, most_read: int = MOST_READ, once: bool = False
    ) -> None:
        """Sample the primary until a signal comes, or once.

        What goes wrong in one look is shown with it, and tried again in the next. ``once``, and before the first look,
        it is raised.
        """
        watch = Watch(self._world, lambda: self.primary, self._process.owner, most_read)
        watch_on(watch, show, self._interrupt, every_seconds=every_seconds, once=once)

    def serve(self, jobs: Sequence[JobSpec], terms: Terms, outside: Outside) -> tuple[str, ...]:
        """Make scheduled backups until a signal comes; the jobs that were left then, as they were still at work.

        Raises ``RefusedError`` where it cannot listen.
        """
        todo = [self._scheduled(spec) for spec in jobs]
        name = f"{self.settings.project} {self.settings.environment}"
        return BackupService(name, todo, terms, outside, self._world.clock, self._interrupt).run()

    def _scheduled(self, spec: JobSpec) -> ScheduledJob:
        if not spec.is_look:
            return BackupJob(spec, self._world, self.backups)
        watch = Watch(self._world, lambda: self.primary, self._process.owner)
        return LookJob(spec, self._world, watch, lambda: self.primary)

    def list_runs(self) -> dict[str, Any]:
        """``drkit.runs/1``: every run, newest first. A journal that cannot be read is listed with the reason."""
        return {"schema": "drkit.runs/1", "runs": self._history.listed()}

    def show_run(self, run_id: str) -> dict[str, Any]:
        """A run's report, finished or not."""
        return report(self._history.load(run_id))

    def check(self) -> dict[str, Any]:
        """``drkit.check/1``: whether a failover to the standby would be possible now."""
        standby = self.settings.other(self.primary)
        document: dict[str, Any] = {"schema": "drkit.check/1", "to": standby, **self._world.kept_in}
        try:
            plan = self.plan(Request("failover", standby))
        except DrkitError as error:
            problem = {"ready": False, "problems": [error.message], "hint": error.hint, "plan": None, "notes": []}
            return {**document, **problem}
        problems = list(plan.refusals)
        if self._world.regions[standby].fence.is_put() is False:
            problems.append(f"{standby} is not fenced: applications could write there (drkit fence put {standby})")
        problems += [f"{redirect}" for redirect in self.redirect_problems(plan.source)]
        differences, notes = self.parity.headlines()
        problems += differences
        found = {"problems": problems, "notes": notes, "hint": "", "plan": plan.document}
        return {**document, "ready": not problems, **found}

    def _giving_way(self, if_source_dies: Choice | None) -> GivingWay:
        return lambda plan: giving_way(plan, self._readings.health_anew, if_source_dies)

    def _composed(self, plan: RunPlanned) -> Procedure:
        """The procedure of a run that is on record."""
        if plan.procedure == RESTORE:
            return self.restoring.composed(plan)
        gone = Gone(bool(plan.options.get("source_is_gone")), bool(plan.options.get("mirror_is_gone")))
        return self._compose(plan.procedure, plan.mode, plan.source, plan.target, gone)

    def _compose(self, name: str, mode: FailoverMode, source: str, target: str, gone: Gone) -> Procedure:
        regions = self.settings.regions
        identity = self.settings.replication.policy == "identity"
        old, new = regions[source].connect, regions[target].connect
        parts = Parts(
            record=self._record,
            translator=self._readings.translator(source, target, mode),
            positions=self._readings.source_positions(source, target),
            compare=CompareSettings(
                topics=self._world.topics,
                canary_topic=self.settings.canary_topic,
                rename=self._readings.names(source).on_target,
            ),
            failback=FailbackSettings(
                reverse=flow_of(self.settings, target),
                places=Places(regions[source].cluster.bootstrap, old.url if old else None, new.url if new else None),
                separate_logs=not identity,
            ),
            health=self._readings.health,
            names=self._readings.names(source),
            source_is_gone=gone.source,
            mirror_is_gone=gone.mirror,
            left=partial(self._readings.mirror_lag, source, target, mode) if mode is FailoverMode.DISASTER else None,
        )
        return compose(name, mode, self._world, source, target, parts)

    def _alone(self, purpose: str, progress: Progress = lambda _: None) -> AbstractContextManager[None]:
        return self._conductor.alone(purpose, progress)

    def last_run(self) -> LastRun | None:
        """The newest run, if there is any."""
        return self._history.last()
