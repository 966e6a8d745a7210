"""Starts, stops and judges the workload of a sandbox."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any, Final, NamedTuple

from drkit.domain.ledger import Writes
from drkit.domain.ledger_history import judge_group
from drkit.domain.ledger_report import Judgement
from drkit.errors import RefusedError, StoppedError
from drkit.sandbox.launch import broker_of
from drkit.sandbox.processes import ProcessSpec, ProcessState, log_tail
from drkit.sandbox.sandbox import Sandbox
from drkit.sandbox.workload.discovery import Discovery
from drkit.sandbox.workload.ledger_file import GroupProgress, follow_group, now_ms, read_group, read_writer
from drkit.sandbox.workload.plan import plan_run
from drkit.sandbox.workload.settings import Phase, Role, WorkloadFiles, WorkloadSettings, process_name

Progress = Callable[[str], None]

_CONSUMER_PROCESSES: Final = 2
_RECORDS_PER_PRODUCER_PROCESS: Final = 5_000
_START_SECONDS: Final = 30.0
_WRITERS_END_SECONDS: Final = 9.0
_GROUPS_END_SECONDS: Final = 6.0
_NO_BROKER_SECONDS: Final = 3.0
"""Together the three are what a stop takes at the longest where nothing can be drained: less than 20 s."""
_POLL_SECONDS: Final = 0.2
_DRAIN_POLL_SECONDS: Final = 0.5
"""A look at all processes of the machine takes some 20 ms, which the groups that are reading could use."""
_PROGRESS_SECONDS: Final = 2.0
_NO_WORD: Final = "dead without a word: killed, or never begun"


class Stopped(NamedTuple):
    """How a workload has ended: the groups that did not read to the end, and the processes that died or were killed."""

    not_drained: tuple[str, ...]
    dead: Mapping[str, str]


def silent(line: str) -> None:
    """Progress that nobody watches."""


class Workload:
    """The workload of one sandbox. Its processes and files end with the sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._files = WorkloadFiles(sandbox.root / "workload")

    def start(self, *, rate: float = 2000, groups: int = 20, progress: Progress = silent) -> None:
        """Start groups and producers with a new ledger, and wait for the first acknowledgement.

        Every second group reads slower than is written, on purpose. Raises ``RefusedError`` if a workload runs already,
        ``StoppedError`` if nothing is acknowledged within ``_START_SECONDS``; its processes are ended then.
        """
        if self.is_running:
            raise RefusedError("a workload runs already", hint="drkit sandbox workload stop")
        before = self._files.load()
        settings = plan_run(self._sandbox, rate=rate, groups=groups, run=1 if before is None else before.run + 1)
        self._files.save(settings)
        specs = self.process_specs()
        for spec in specs:
            self._sandbox.processes.start(spec)
        progress(f"{len(settings.writers)} producers and {len(settings.groups)} groups started")
        deadline = time.monotonic() + _START_SECONDS
        while self.acknowledged_records() == 0:
            if time.monotonic() > deadline or self.dead():
                logs = "\n".join(log_tail(spec.log, lines=4) for spec in specs)
                self._sandbox.processes.kill([spec.name for spec in specs])
                raise StoppedError(f"the workload wrote nothing:\n{logs}", hint="drkit sandbox status")
            time.sleep(_POLL_SECONDS)
        progress("the first records are acknowledged")

    def stop(self, *, drain_seconds: float = 60, progress: Progress = silent) -> Stopped:
        """End the writing, let every group read to the end for at most so long, end the groups; idempotent.

        Raises ``RefusedError`` if there was no workload.
        """
        settings = self._settings()
        if self._files.phase() is not Phase.STOP:
            self._files.end_writes(now_ms())
            self._await_end(self._names(settings, Role.PRODUCERS), _WRITERS_END_SECONDS, progress)
            progress("the writing has ended")
            if drain_seconds > 0:
                self._files.set_phase(Phase.DRAIN)
                self._await_drained(settings, drain_seconds, progress)
        dead = self.dead()
        self._files.set_phase(Phase.STOP)
        self._await_end(self._names(settings), _GROUPS_END_SECONDS, progress)
        late = [
            plan.name
            for number, plan in enumerate(settings.groups)
            if follow_group(self._files.group(number), GroupProgress()).drained_at is None
        ]
        return Stopped(tuple(late), dead | self.dead())

    def judge(self) -> Judgement:
        """What the ledger proves up to now, while the workload runs and afterwards. Raises ``RefusedError``."""
        settings = self._settings()
        # The time and the writes first: what happens meanwhile is no outage, and not missing from the groups.
        at_ms = now_ms()
        phase = self._files.phase().value if self.is_running else "stopped"
        writes = self._writes(settings)
        writes.ended_ms = self._files.writes_ended_ms()
        writes.settle()
        groups = {
            plan.name: judge_group(plan.topics, read_group(self._files.group(number), settings.names), writes)
            for number, plan in enumerate(settings.groups)
        }
        return Judgement(writes, groups, phase, self.processes(), tuple(self.dead()), settings.rate, at_ms)

    def report(self) -> dict[str, Any]:
        """``drkit.ledger/1``."""
        return self.judge().document()

    def acknowledged_records(self) -> int:
        """How many records are acknowledged up to now; quicker than a report."""
        return self._writes(self._settings()).count()

    def groups(self) -> frozenset[str]:
        """The groups' names."""
        return frozenset(plan.name for plan in self._settings().groups)

    @property
    def is_running(self) -> bool:
        """Whether one of its processes lives."""
        settings = self._files.load()
        return settings is not None and bool(self._living(self._names(settings)))

    def processes(self) -> dict[str, str]:
        """Each process of the newest run, and how it is or how it ended; empty where there was none."""
        settings = self._files.load()
        if settings is None:
            return {}
        living = self._living(self._names(settings))
        return {
            name: living[name].value if name in living else self._files.end(name) or _NO_WORD
            for name in self._names(settings)
        }

    def dead(self) -> dict[str, str]:
        """The processes that did not end by themselves because they were told to, and how they ended."""
        alive = (ProcessState.RUNNING, ProcessState.STOPPED, "ended")
        return {name: how for name, how in self.processes().items() if how not in alive}

    def process_specs(self) -> list[ProcessSpec]:
        """The newest run's processes, consumers first: starting a dead one again continues its ledgers."""
        settings = self._settings()
        specs = []
        for role, parts in self._parts(settings).items():
            for part in range(parts):
                name = process_name(role, part)
                # -P: the sandbox's directory, in which the process runs, is no place to import modules from.
                interpreter = (sys.executable, "-P", *self._sandbox.processes.python_marks(name))
                program = ("-m", "drkit.sandbox.workload", str(self._files.directory), role, str(part), str(parts))
                log = self._sandbox.root / "logs" / f"{name}.log"
                specs.append(ProcessSpec(name, interpreter + program, log, {}))
        return specs

    @staticmethod
    def _parts(settings: WorkloadSettings) -> dict[Role, int]:
        producers = ceil(settings.rate / _RECORDS_PER_PRODUCER_PROCESS)
        return {Role.CONSUMERS: min(_CONSUMER_PROCESSES, len(settings.groups)), Role.PRODUCERS: producers}

    def _names(self, settings: WorkloadSettings, only: Role | None = None) -> list[str]:
        return [
            process_name(role, part)
            for role, parts in self._parts(settings).items()
            if only in (None, role)
            for part in range(parts)
        ]

    def _living(self, names: Sequence[str]) -> dict[str, ProcessState]:
        found = self._sandbox.processes.status(names)
        return {name: one.state for name, one in found.items() if one.state is not ProcessState.DEAD}

    def _settings(self) -> WorkloadSettings:
        settings = self._files.load()
        if settings is None:
            raise RefusedError("no workload was started in this sandbox", hint="drkit sandbox workload start")
        return settings

    def _writes(self, settings: WorkloadSettings) -> Writes:
        writes = Writes(settings.run)
        for plan in settings.writers:
            read_writer(self._files.writer(plan), settings.names, writes)
        return writes

    def _await_drained(self, settings: WorkloadSettings, seconds: float, progress: Progress) -> None:
        """Wait until every group has read everything on the side where the service is now, but not for ever."""
        service = _Service(self._sandbox, settings)
        found = [GroupProgress()] * len(settings.groups)
        deadline = time.monotonic() + seconds
        told_at = time.monotonic()
        while time.monotonic() < deadline:
            found = [follow_group(self._files.group(number), before) for number, before in enumerate(found)]
            region = service.region_number()
            drained = sum(one.drained_at is not None and one.drained_at == region for one in found)
            if drained == len(found) or time.monotonic() - told_at > _PROGRESS_SECONDS:
                told_at = time.monotonic()
                records = sum(one.records for one in found)
                progress(f"{drained} of {len(found)} groups have read to the end, {records} records in all")
            if drained == len(found):
                return
            if not self._living(self._names(settings, Role.CONSUMERS)):
                progress("no group is left that could read to the end")
                return
            if service.seconds_without_broker() > _NO_BROKER_SECONDS:
                progress("the broker where the service is does not run: nothing can be read to the end")
                return
            time.sleep(_DRAIN_POLL_SECONDS)

    def _await_end(self, names: Sequence[str], seconds: float, progress: Progress) -> None:
        deadline = time.monotonic() + seconds
        while late := self._living(names):
            if time.monotonic() > deadline:
                self._sandbox.processes.kill(late)
                how = f"killed, since it did not end within {seconds:g} s"
                for name in late:
                    self._files.note_end(name, how)
                    progress(f"{name}: {how}")
                return
            time.sleep(_POLL_SECONDS)


class _Service:
    """Where the service is, and whether there is a broker."""

    def __init__(self, sandbox: Sandbox, settings: WorkloadSettings) -> None:
        self._sandbox = sandbox
        self._regions = list(settings.clients)
        self._discovery = Discovery(settings)
        self._region: str | None = None
        self._broker_at = time.monotonic()

    def region_number(self) -> int | None:
        """The service's region as the ledger numbers it; None while DNS does not say."""
        side = self._discovery.locate()
        self._region = None if side is None else side.region
        return None if self._region is None else self._regions.index(self._region)

    def seconds_without_broker(self) -> float:
        """For how long no broker has run where the service was when it was last looked for."""
        if self._region is not None:
            broker = broker_of(self._region)
            if self._sandbox.processes.status([broker])[broker].state is ProcessState.RUNNING:
                self._broker_at = time.monotonic()
        return time.monotonic() - self._broker_at
