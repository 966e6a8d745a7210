"""One service as the command line sees it: plan, run, resume, abort, status, check."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from drkit.config.mirror_templates import flow_of
from drkit.config.models import Settings
from drkit.domain import run_events as ev
from drkit.domain.failback_steps import Places
from drkit.domain.health import Role
from drkit.domain.lifecycle import Phase
from drkit.domain.mode import FailoverMode
from drkit.domain.runs import RunState
from drkit.domain.status import LastRun, status_text, status_to_json
from drkit.engine import journal as journals
from drkit.engine.interrupt import Interrupt
from drkit.engine.journal import Journal, LocalCopy
from drkit.engine.lease import Lease
from drkit.engine.listener import RunListener
from drkit.engine.runner import Purpose, Runner
from drkit.engine.step import Procedure
from drkit.errors import DrkitError, ExitCode, RefusedError, UnreachableError, UsageError
from drkit.ports import Clock, KafkaReader, Progress
from drkit.procedures.failover import Parts, compose
from drkit.procedures.plan import Plan, Planner, Request
from drkit.procedures.readings import Readings
from drkit.reports.run_report import exit_code, report
from drkit.steps.lineage_record import LineageRecord
from drkit.steps.mirror_install import apply_mirror, inspect_mirror
from drkit.steps.world import World
from drkit.verification.failback import FailbackSettings
from drkit.verification.sides import CompareSettings
from drkit.verification.status_check import ReplayCheck, StatusCheck


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run's report and the exit code that it means."""

    document: dict[str, Any]
    exit_code: ExitCode


@dataclass(frozen=True, slots=True)
class UnfinishedRun:
    """A run that can be resumed or aborted."""

    state: RunState

    @property
    def run_id(self) -> str:
        """Its id."""
        return self.state.run_id

    @property
    def step_names(self) -> tuple[str, ...]:
        """Its steps in order."""
        return tuple(self.state.steps)

    @property
    def summary(self) -> str:
        """What it is and where it stands, as the rest of a sentence."""
        plan = self.state.plan
        done = sum(step.is_done for step in self.state.steps.values())
        return f"moves the service to {plan.target} and has done {done} of {len(self.state.steps)} steps"


class Service:
    """Everything that commands ask of one service."""

    def __init__(
        self, *, world: World, interrupt: Interrupt, clock: Clock, local_copy: LocalCopy, config_path: str
    ) -> None:
        self._world = world
        self._interrupt = interrupt
        self._clock = clock
        self._local_copy = local_copy
        self._config_path = config_path
        self._record = LineageRecord(world.store)
        self._readings = Readings(world)

    @property
    def settings(self) -> Settings:
        """The configuration."""
        return self._world.settings

    @property
    def primary(self) -> str:
        """The region that is primary now, by the lineage."""
        return self._record.read().primary(self.settings.primary)

    @property
    def is_new(self) -> bool:
        """Whether no change of direction was ever recorded."""
        return not self._record.read().epochs

    def plan(self, request: Request) -> Plan:
        """Plan a move. Raises ``RefusedError`` while a run is unfinished."""
        if request.target in self.settings.regions:
            self._refuse_beside_unfinished()

        def composed(name: str, mode: FailoverMode, source: str, target: str) -> Procedure:
            return self._compose(name, mode, source, target, source_is_gone=request.source_is_gone)

        return Planner(self._world, self._record, self._readings, composed).plan(request)

    def run(self, plan: Plan, listener: RunListener, *, undo_on_failure: bool) -> RunReport:
        """Run a plan."""
        run_id = journals.new_run_id(self._clock, plan.procedure.name)
        journal = Journal(self._world.store, self._local_copy, self._clock, run_id=run_id)
        lease = self._lease()
        lease.acquire(run_id)
        try:
            self._refuse_beside_unfinished()
            journal.append(self._planned(plan, undo_on_failure=undo_on_failure))
            runner = Runner(plan.procedure, journal, lease, self._clock, listener, self._interrupt)
            with self._interrupt.installed():
                return _reported(runner.run())
        finally:
            lease.release()

    def unfinished_run(self, run_id: str | None) -> UnfinishedRun:
        """The run to resume or abort: the named one, else the newest. Raises ``RefusedError`` if it is over."""
        if run_id is None:
            found = self._unfinished()
            if found is None:
                raise RefusedError("no run is unfinished", hint="drkit runs list shows the runs that there are")
            return UnfinishedRun(found)
        state = journals.load(self._world.store, run_id)
        if state.phase.is_final:
            raise RefusedError(f"run {run_id} is over: {state.phase.value}", hint=f"drkit runs show {run_id}")
        return UnfinishedRun(state)

    def resume(self, run: UnfinishedRun, listener: RunListener) -> RunReport:
        """Go on with a run. One that is being undone can only be aborted."""
        if run.state.phase in (Phase.UNDOING, Phase.UNDO_STOPPED):
            raise RefusedError(f"run {run.run_id} is being undone", hint=f"drkit abort {run.run_id} goes on with that")
        return self._continue(run, listener, "resume")

    def abort(self, run: UnfinishedRun, listener: RunListener) -> RunReport:
        """Undo a run."""
        return self._continue(run, listener, "abort")

    def list_runs(self) -> dict[str, Any]:
        """``drkit.runs/1``: every run, newest first. A journal that cannot be read is listed with the reason."""
        return {"schema": "drkit.runs/1", "runs": [self._listed(run_id) for run_id in self._run_ids()]}

    def show_run(self, run_id: str) -> dict[str, Any]:
        """A run's report, finished or not."""
        return report(journals.load(self._world.store, run_id))

    def translate(self, source: str, target: str, groups: Sequence[str]) -> list[dict[str, Any]]:
        """Positions now, without writing them; from checkpoints when the source does not answer."""
        if {source, target} != set(self.settings.regions):
            raise UsageError(
                f"--from {source} --to {target} are not the two regions",
                hint=f"regions: {', '.join(self.settings.regions)}",
            )
        mode = FailoverMode.PLANNED
        try:
            self._world.regions[source].reader.describe_cluster()
        except UnreachableError:
            mode = FailoverMode.DISASTER
        return [position.row for position in self._readings.translate(source, target, mode, groups)]

    def status(self) -> dict[str, Any]:
        """``drkit.status/1``, with ``text`` for people."""
        primary = self.primary
        standby = self.settings.other(primary)
        mirrored = self._world.regions[standby].mirror is not None
        check = StatusCheck(
            project=self.settings.project,
            environment=self.settings.environment,
            primary=primary,
            standby=standby,
            checks=[
                self._readings.health_check(region, role, quick=True)
                for region, role in ((primary, Role.PRIMARY), (standby, Role.STANDBY))
            ],
            lag=self._readings.lag_check(primary, standby) if mirrored else None,
            replay=self._replay_check(primary, standby) if mirrored else None,
            redirects=self._world.redirects,
            clock=self._clock,
        )
        found = check.run(self._last_run())
        return {**status_to_json(found), "text": status_text(found)}

    def check(self) -> dict[str, Any]:
        """``drkit.check/1``: whether a failover to the standby would be possible now."""
        standby = self.settings.other(self.primary)
        document: dict[str, Any] = {"schema": "drkit.check/1", "to": standby}
        try:
            plan = self.plan(Request("failover", standby))
        except DrkitError as error:
            return {**document, "ready": False, "problems": [error.message], "hint": error.hint, "plan": None}
        problems = list(plan.refusals)
        if self._world.regions[standby].fence.is_put() is False:
            problems.append(f"{standby} is not fenced: applications could write there (drkit fence put {standby})")
        problems += [f"{redirect}" for redirect in self._redirect_problems(plan.source)]
        return {**document, "ready": not problems, "problems": problems, "hint": "", "plan": plan.document}

    def fence_status(self, region: str) -> dict[str, Any]:
        """``drkit.fence-status/1``."""
        self._require_region(region)
        fenced = self._world.regions[region].fence.is_put()
        return {"schema": "drkit.fence-status/1", "region": region, "fenced": fenced}

    def fence_put(self, region: str) -> dict[str, Any]:
        """Fence the standby. Refused for the primary."""
        self._require_region(region)
        if region == self.primary:
            raise RefusedError(
                f"{region} is the primary: fencing it stops the applications", hint="a failover fences it by itself"
            )
        self._require_cluster(region)
        self._world.regions[region].fence.put_producers()
        return {"schema": "drkit.fence-status/1", "region": region, "fenced": True}

    def fence_lift(self, region: str) -> dict[str, Any]:
        """Lift the fence."""
        self._require_region(region)
        self._require_cluster(region)
        self._world.regions[region].fence.lift_producers()
        return {"schema": "drkit.fence-status/1", "region": region, "fenced": False}

    def mm2_apply(self, source: str | None, *, resume: bool, progress: Progress) -> dict[str, Any]:
        """Make the mirror as rendered."""
        primary = self.primary
        flow = flow_of(self.settings, source or primary)
        return apply_mirror(self._world, flow, primary=primary, resume=resume, progress=progress).document()

    def mm2_status(self, source: str | None) -> dict[str, Any]:
        """The mirror as it is."""
        return inspect_mirror(self._world, flow_of(self.settings, source or self.primary)).document()

    def _continue(self, run: UnfinishedRun, listener: RunListener, verb: Purpose) -> RunReport:
        plan = run.state.plan
        lease = self._lease()
        previous = lease.acquire(run.run_id)
        try:
            state = journals.load(self._world.store, run.run_id)
            gone = bool(plan.options.get("source_is_gone"))
            procedure = self._compose(plan.procedure, plan.mode, plan.source, plan.target, source_is_gone=gone)
            journal = Journal(self._world.store, self._local_copy, self._clock, run_id=run.run_id, state=state)
            runner = Runner(procedure, journal, lease, self._clock, listener, self._interrupt)
            with self._interrupt.installed():
                runner.take_over(_owner(), verb, previous)
                if verb == "abort":
                    return _reported(runner.abort("asked for by the operator"))
                runner.refresh()
                return _reported(runner.run())
        finally:
            lease.release()

    def _compose(self, name: str, mode: FailoverMode, source: str, target: str, *, source_is_gone: bool) -> Procedure:
        regions = self.settings.regions
        identity = self.settings.replication.policy == "identity"
        old, new = regions[source].connect, regions[target].connect
        parts = Parts(
            record=self._record,
            translator=self._readings.translator(source, target),
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
            source_is_gone=source_is_gone,
        )
        return compose(name, mode, self._world, source, target, parts)

    def _planned(self, plan: Plan, *, undo_on_failure: bool) -> ev.RunPlanned:
        settings = self.settings.model_dump_json()
        return ev.RunPlanned(
            procedure=plan.procedure.name,
            mode=plan.mode,
            source=plan.source,
            target=plan.target,
            steps=tuple(ev.StepIdentity(step.name, step.version, step.is_effect) for step in plan.procedure.steps),
            no_return_after=plan.procedure.no_return_after,
            options={name: value for name, value in asdict(plan.request).items() if value not in (None, False)},
            objectives=self.settings.objectives.model_dump(mode="json"),
            plan_digest=_digest(json.dumps(plan.document, sort_keys=True)),
            settings_digest=_digest(settings),
            config_path=self._config_path,
            operator=_operator(),
            undo_on_failure=undo_on_failure and plan.mode is FailoverMode.PLANNED,
        )

    def _lease(self) -> Lease:
        seconds = self.settings.timeouts.lease_seconds
        return Lease(self._world.store, self._clock, owner=_owner(), seconds=seconds, is_gone=_is_gone)

    def _run_ids(self) -> list[str]:
        return journals.run_ids(self._world.store)

    def _unfinished(self) -> RunState | None:
        for run_id in self._run_ids()[:1]:
            state = journals.load(self._world.store, run_id)
            return None if state.phase.is_final else state
        return None

    def _refuse_beside_unfinished(self) -> None:
        found = self._unfinished()
        if found is not None:
            # Somebody may be at it right now: then the lease says who.
            lease = self._lease()
            lease.refuse_if_held(found.run_id)
            raise RefusedError(
                f"run {found.run_id} is unfinished ({found.phase.value})",
                hint=f"drkit resume {found.run_id} goes on with it, drkit abort {found.run_id} undoes it",
            )

    def _listed(self, run_id: str) -> dict[str, Any]:
        try:
            state = journals.load(self._world.store, run_id)
        except DrkitError as error:
            return {"run_id": run_id, "outcome": "unreadable", "reason": error.message}
        plan = state.plan
        return {
            "run_id": run_id,
            "procedure": plan.procedure,
            "mode": plan.mode.value,
            "from": plan.source,
            "to": plan.target,
            "outcome": state.phase.value,
            "started_at": state.started_at.isoformat(),
            "operator": plan.operator,
        }

    def _last_run(self) -> LastRun | None:
        newest = next(iter(self._run_ids()), None)
        if newest is None:
            return None
        found = self._listed(newest)
        return LastRun(
            newest,
            found.get("procedure", "unknown"),
            found.get("mode", "unknown"),
            found["outcome"],
            found.get("started_at", ""),
        )

    def _replay_check(self, primary: str, standby: str) -> ReplayCheck:
        reader: KafkaReader = self._world.regions[primary].reader
        return ReplayCheck(
            reader, self._world.groups, self._world.topics, lambda: self._readings.checkpointed(primary, standby)
        )

    def _redirect_problems(self, source: str) -> list[str]:
        problems = []
        for target in self._world.redirects:
            try:
                values = target.observe().values
            except DrkitError as error:
                problems.append(f"{target.name}: {error.message}")
                continue
            if values != target.values_for(source):
                problems.append(f"{target.name} is {', '.join(values) or 'empty'}, not the primary's value")
        return problems

    def _require_region(self, region: str) -> None:
        if region not in self.settings.regions:
            raise UsageError(
                f"{region!r} is not a region of this service", hint=f"regions: {', '.join(self.settings.regions)}"
            )

    def _require_cluster(self, region: str) -> None:
        found = self._world.regions[region].reader.describe_cluster().cluster_id
        expected = self.settings.regions[region].cluster.cluster_id
        if found != expected:
            raise RefusedError(
                f"the cluster at {region} has id {found}, and regions.{region}.cluster.cluster_id is {expected}"
            )


def _reported(state: RunState) -> RunReport:
    return RunReport(report(state), exit_code(state))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _operator() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _owner() -> str:
    return f"{_operator()}@{socket.gethostname()} pid {os.getpid()} started {_started(os.getpid())}"


def _started(pid: int) -> str:
    """A process's start time in clock ticks since boot, where the system tells; tells a recycled pid apart."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "unknown"


def _is_gone(owner: str) -> bool:
    who, _, rest = owner.partition(" pid ")
    pid, _, started = rest.partition(" started ")
    if who.rpartition("@")[2] != socket.gethostname() or not pid.isdecimal() or started == "unknown":
        return False
    return _started(int(pid)) != started
