"""Scheduled backups as a service: each job in a thread of its own, so that none waits for another.

Two services at once, on two machines, are harmless: each look and each backup is written under names of its own, with
``If-None-Match``, and commits with its last object. What is read and stored twice is all that it costs. The same job in
one process never runs twice at once: its thread does one turn after the other.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol

from drkit.domain.job_records import Covered, Good, JobRecord, Kind, Served, health_document
from drkit.domain.schedules import Grid, JobSpec, duration_text, first_due
from drkit.engine.interrupt import Interrupt, InterruptedRunError
from drkit.engine.turns import turns
from drkit.errors import DrkitError, UnreachableError
from drkit.ports import Alerter, Clock, Page, PageServer, Progress
from drkit.procedures.alert_desk import AlertDesk, RunEnd

_LOOK_SECONDS: Final = 1.0
_END_SECONDS: Final = 5.0
"""On top of the deadline of a call: what runs when the service is told to end has so long for its next object."""

Show = Callable[[Mapping[str, Any]], None]


class ScheduledJob(Protocol):
    """What a job does when it is due."""

    @property
    def spec(self) -> JobSpec:
        """What was asked for."""

    def newest(self) -> tuple[Good | None, Mapping[Kind, Good]]:
        """The newest that somebody made earlier, of the job as a whole and by kind. Raises drkit's errors."""

    def run(self) -> Covered:
        """Do it once. Raises drkit's errors where nothing was covered."""

    def close(self) -> None:
        """Leave what is followed between two runs."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How the service runs. ``seed``: what tells this machine from others."""

    seed: str
    jitter: float = 0.1
    grace_seconds: float = 60.0
    call_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Outside:
    """Whom the service speaks to: people, whoever asks over HTTP, the metrics format, and what shows each run."""

    show: Show
    note: Progress
    server: PageServer | None = None
    metrics: Callable[[Served], Page] | None = None
    alerter: Alerter | None = None


class Board:
    """The records of all jobs; shared between threads."""

    def __init__(self, records: Sequence[JobRecord]) -> None:
        self._records = {record.spec: record for record in records}
        self._lock = threading.Lock()

    def change(self, spec: JobSpec, change: Callable[[JobRecord], JobRecord]) -> JobRecord:
        """Change one; the new one."""
        with self._lock:
            self._records[spec] = change(self._records[spec])
            return self._records[spec]

    def read(self) -> tuple[JobRecord, ...]:
        """All of them, in the order in which they were asked for."""
        with self._lock:
            return tuple(self._records.values())


class BackupService:
    """Runs jobs at their moments until a signal comes."""

    def __init__(
        self,
        name: str,
        jobs: Sequence[ScheduledJob],
        terms: Terms,
        outside: Outside,
        clock: Clock,
        interrupt: Interrupt,
    ) -> None:
        self._jobs = jobs
        self._terms = terms
        self._outside = outside
        self._clock = clock
        self._interrupt = interrupt
        self._desk = AlertDesk(outside.alerter, name, terms.seed, clock, self._note)
        started = clock.monotonic()
        self._board = Board([JobRecord(job.spec, started) for job in jobs])
        self._threads: list[threading.Thread] = []
        self._is_ending = False

    def run(self) -> tuple[str, ...]:
        """Serve. Ends when a signal comes: to be ended is how a service ends. Raises if it cannot listen.

        What runs then is finished if it takes no longer than a call may; else it is left, and named in the answer: it
        makes no visible backup of less than it would have.
        """
        self._interrupt.farewell = "what ran is left, without a visible backup"
        try:
            with self._interrupt.installed(), ExitStack() as open_parts:
                if self._outside.server is not None:
                    address = open_parts.enter_context(self._outside.server.serving(self._pages()))
                    self._note(f"health at {address}/healthz, metrics at {address}/metrics")
                open_parts.enter_context(self._desk.open(self._terms.call_seconds))
                self._work()
        except InterruptedRunError:
            pass
        return tuple(thread.name for thread in self._threads if thread.is_alive())

    def served(self) -> Served:
        """What is told now."""
        records, now = self._board.read(), self._clock.monotonic()
        terms = self._terms
        health = health_document(records, now, jitter=terms.jitter, grace_seconds=terms.grace_seconds)
        return Served(records, health, now, self._desk.sent, self._desk.not_sent)

    def _work(self) -> None:
        for job in self._jobs:
            thread = threading.Thread(target=self.follow, args=(job,), name=job.spec.name, daemon=True)
            self._threads.append(thread)
            thread.start()
        try:
            while True:
                self._clock.sleep(_LOOK_SECONDS)
        finally:
            self._is_ending = True
            end = self._clock.monotonic() + self._terms.call_seconds + _END_SECONDS
            for thread in self._threads:
                thread.join(max(0.0, end - self._clock.monotonic()))

    def follow(self, job: ScheduledJob) -> None:
        """One job, turn after turn, until a signal comes."""
        try:
            age = self._begin(job)
            period, seed = job.spec.period_seconds, f"{self._terms.seed} {job.spec.name}"
            grid = Grid(period, seed, self._terms.jitter, first_due(age, period))
            for _ in turns(grid, self._clock, partial(self._skipped, job.spec)):
                self._interrupt.raise_if_asked()
                self._once(job)
                self._interrupt.raise_if_asked()
        except InterruptedRunError:
            return
        finally:
            job.close()

    def _begin(self, job: ScheduledJob) -> float | None:
        """The age of the newest good backup, which is not zero because the service is new."""
        try:
            success, good = job.newest()
        except DrkitError as error:
            self._note(f"{job.spec.name}: how old the newest backup is cannot be read: {error.message}")
            return None
        except Exception as error:  # noqa: BLE001 - as for a run
            self._note(f"{job.spec.name}: a bug in drkit: {type(error).__name__}: {error}")
            return None
        record = self._board.change(job.spec, lambda record: replace(record, success=success, good=dict(good)))
        return record.age_seconds(self._clock.monotonic())

    def _once(self, job: ScheduledJob) -> None:
        at, began = self._clock.now(), self._clock.monotonic()
        self._board.change(job.spec, lambda record: record.begun(began))
        covered = self._covered(job)
        if self._is_ending and covered.failure is not None:
            # Connections are being closed under it: no failure of the job's.
            return
        now = self._clock.monotonic()
        record = self._board.change(job.spec, lambda record: record.ended(covered, at, now))
        problem = "" if covered.failure is None else covered.failure[1]
        self._desk.tell(RunEnd(job.spec, covered.failure is not None, problem, now))
        # Whoever read our output may be gone: no reason to make no backups any more.
        with suppress(OSError):
            self._outside.show(run_document(record, covered, at))

    def _note(self, text: str) -> None:
        with suppress(OSError):
            self._outside.note(text)

    def _covered(self, job: ScheduledJob) -> Covered:
        try:
            return job.run()
        except DrkitError as error:
            return Covered(failure=failure_of(error))
        except Exception as error:  # noqa: BLE001 - one job's bug ends neither the service nor the other jobs
            return Covered(failure=("bug", f"a bug in drkit: {type(error).__name__}: {error}"))

    def _skipped(self, spec: JobSpec, reason: str, count: int) -> None:
        self._board.change(spec, lambda record: record.passed_over(reason, count))

    def _pages(self) -> dict[str, Callable[[], Page]]:
        pages: dict[str, Callable[[], Page]] = {"/healthz": self._health_page, "/livez": self._life_page}
        metrics = self._outside.metrics
        if metrics is not None:
            pages["/metrics"] = lambda: metrics(self.served())
        return pages

    def _health_page(self) -> Page:
        health = self.served().health
        return Page(200 if health["healthy"] else 503, "application/json", json.dumps(health).encode() + b"\n")

    def _life_page(self) -> Page:
        # What a restart would mend, and nothing else: a broker that does not answer is no reason to end the service.
        ended = [thread.name for thread in self._threads if not thread.is_alive()]
        text = f"the thread of {', '.join(ended)} has ended" if ended else "ok"
        return Page(503 if ended else 200, "text/plain; charset=utf-8", text.encode() + b"\n")


def failure_of(error: DrkitError) -> tuple[str, str]:
    """The class of a failure, one of few words, and its text."""
    reason = "unreachable" if isinstance(error, UnreachableError) else error.exit_code.name.lower()
    return reason, f"{error.message}; next: {error.hint}" if error.hint else error.message


def run_document(record: JobRecord, covered: Covered, at: datetime) -> dict[str, Any]:
    """``drkit.backup-serve/1``: one run of one job."""
    return {
        "schema": "drkit.backup-serve/1",
        "at": at.isoformat(timespec="milliseconds"),
        "job": record.spec.name,
        "every": duration_text(record.spec.period_seconds),
        "outcome": "succeeded" if covered.failure is None else "failed",
        "reason": "" if covered.failure is None else covered.failure[0],
        "problem": "" if covered.failure is None else covered.failure[1],
        "seconds": round(record.last_seconds, 3),
        "covered": [
            {"kind": kind, "region": region, "rows": good.rows} for (kind, region), good in sorted(covered.good.items())
        ],
        "stored_bytes": covered.stored_bytes,
        "objects": covered.objects,
        "skipped": dict(record.skipped),
    }
