"""The service with its threads: jobs that fail, hang or never end, and a signal."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from drkit.adapters.local.clock import SystemClock
from drkit.domain.inventory import Part
from drkit.domain.job_records import Covered, Good, Kind
from drkit.domain.schedules import JobSpec
from drkit.engine.interrupt import Interrupt, InterruptedRunError, InterruptibleClock
from drkit.errors import RefusedError, UnreachableError
from drkit.ports import Page, Pages
from drkit.procedures.scheduled_jobs import LookJob
from drkit.procedures.serve import BackupService, Outside, Terms
from drkit.procedures.watch import Watch
from tests.fakes.alerts import FakeAlerter
from tests.fakes.clock import FakeClock
from tests.fakes.service import SOURCE, FakeService
from tests.unit.config.sample import settings
from tests.waiting import PATIENCE_SECONDS, eventually

LOOK, TOPICS, ALL = JobSpec(10, (Part.GROUPS,)), JobSpec(1, (Part.TOPICS,)), JobSpec(1, None)
TERMS = Terms("host-1", jitter=0.0, call_seconds=5.0)


@dataclass
class FakeJob:
    """``ScheduledJob``: does what it is told, run after run; then it succeeds."""

    spec: JobSpec
    script: list[Callable[[], Covered]] = field(default_factory=list)
    found: Good | None = None
    runs: int = 0
    at_once: int = 0
    most_at_once: int = 0
    is_closed: bool = False

    def newest(self) -> tuple[Good | None, Mapping[Kind, Good]]:
        return self.found, {} if self.found is None else {("topics", SOURCE): self.found}

    def run(self) -> Covered:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.runs += 1
        try:
            return self.script.pop(0)() if self.script else Covered()
        finally:
            self.at_once -= 1

    def close(self) -> None:
        self.is_closed = True


def fails(error: Exception) -> Callable[[], Covered]:
    def run() -> Covered:
        raise error

    return run


class FakePageServer:
    """``drkit.ports.PageServer`` without a socket."""

    def __init__(self) -> None:
        self.pages: Pages = {}

    @contextmanager
    def serving(self, pages: Pages) -> Iterator[str]:
        self.pages = pages
        yield "http://here"


class Scene:
    """A service whose clock is the test's, and which is ended after so many waits."""

    def __init__(self, *jobs: FakeJob) -> None:
        self.clock = FakeClock()
        self.interrupt = Interrupt()
        self.shown: list[Mapping[str, Any]] = []
        self.notes: list[str] = []
        self.server = FakePageServer()
        self.receiver = FakeAlerter()
        outside = Outside(self.shown.append, self.notes.append, self.server, alerter=self.receiver)
        self.service = BackupService("shop staging", jobs, TERMS, outside, self.clock, self.interrupt)

    def follow(self, job: FakeJob, runs: int) -> None:
        """So many runs of one job, in this thread; a signal comes in the last."""

        def last() -> Covered:
            self.interrupt.signal_name = "SIGTERM"
            return Covered()

        job.script += [Covered] * (runs - 1 - len(job.script))
        job.script.append(last)
        self.service.follow(job)

    @property
    def outcomes(self) -> list[str]:
        return [run["reason"] or run["outcome"] for run in self.shown]


def test_a_job_that_fails_is_tried_again_at_its_next_moment() -> None:
    job = FakeJob(TOPICS, [fails(UnreachableError("dark", hint="look")), fails(ZeroDivisionError("oops")), Covered])
    scene = Scene(job)
    scene.follow(job, 4)
    assert scene.outcomes == ["unreachable", "bug", "succeeded", "succeeded"]
    assert scene.shown[0]["problem"] == "dark; next: look"
    assert "ZeroDivisionError" in scene.shown[1]["problem"]
    (record,) = scene.service.served().records
    assert (record.successes, record.failures) == (2, {"unreachable": 1, "bug": 1})
    assert scene.clock.slept_seconds == [0.0, 1.0, 1.0, 1.0]


def test_a_job_that_covered_less_has_failed() -> None:
    job = FakeJob(TOPICS, [lambda: Covered(failure=("incomplete", "acls of tokyo are missing"))])
    scene = Scene(job)
    scene.follow(job, 2)
    assert scene.outcomes == ["incomplete", "succeeded"]


def test_a_job_that_takes_longer_than_its_period_skips_and_counts() -> None:
    def slow() -> Covered:
        scene.clock.advance(3.5)
        return Covered()

    job = FakeJob(TOPICS, [slow])
    scene = Scene(job)
    scene.follow(job, 2)
    (record,) = scene.service.served().records
    assert record.skipped == {"overlap": 3}
    assert scene.clock.slept_seconds == [0.0, 0.5]


def test_a_young_backup_is_not_repeated_at_the_start_and_its_age_is_not_zero() -> None:
    job = FakeJob(JobSpec(3600, None))
    scene = Scene(job)
    job.found = Good.found(scene.clock.now() - timedelta(seconds=1000), scene.clock.now(), scene.clock.monotonic())
    scene.follow(job, 1)
    assert scene.clock.slept_seconds == [2600.0]
    (record,) = scene.service.served().records
    assert record.successes == 1


def test_the_age_at_the_start_is_that_of_the_newest_backup() -> None:
    job = FakeJob(JobSpec(3600, None))
    scene = Scene(job)
    job.found = Good.found(scene.clock.now() - timedelta(days=2), scene.clock.now(), scene.clock.monotonic())
    before: list[Any] = []

    def first() -> Covered:
        before.append(scene.service.served())
        return Covered()

    job.script = [first]
    scene.follow(job, 2)
    health = before[0].health
    assert not health["healthy"]
    assert health["jobs"][0]["age_seconds"] == 172_800.0


def test_where_the_newest_backup_cannot_be_read_one_is_made() -> None:
    job = FakeJob(TOPICS)
    job.newest = fails(RefusedError("no bucket"))  # type: ignore[assignment, method-assign]
    scene = Scene(job)
    scene.follow(job, 1)
    assert scene.notes == ["topics: how old the newest backup is cannot be read: no bucket"]
    assert scene.outcomes == ["succeeded"]


def test_output_that_nobody_reads_ends_nothing() -> None:
    job = FakeJob(TOPICS)
    interrupt, clock = Interrupt(), FakeClock()

    def show(_run: Mapping[str, Any]) -> None:
        if job.runs == 3:
            interrupt.signal_name = "SIGTERM"
        raise BrokenPipeError

    BackupService("shop", [job], TERMS, Outside(show, lambda _: None), clock, interrupt).follow(job)
    assert job.runs == 3


class Running:
    """A service with real threads and a real clock, beside the test."""

    def __init__(self, *jobs: FakeJob, call_seconds: float = 5.0) -> None:
        self.interrupt = Interrupt()
        self.shown: list[Mapping[str, Any]] = []
        self.server = FakePageServer()
        self.receiver = FakeAlerter()
        outside = Outside(self.shown.append, lambda _: None, self.server, alerter=self.receiver)
        clock = InterruptibleClock(SystemClock(), self.interrupt)
        terms = Terms("host-1", jitter=0.0, call_seconds=call_seconds)
        service = BackupService("shop staging", jobs, terms, outside, clock, self.interrupt)
        self.left: tuple[str, ...] = ()

        def run() -> None:
            self.left = service.run()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def page(self, path: str) -> Page:
        return self.server.pages[path]()

    def end(self) -> float:
        """A signal comes; how long it took to end."""
        began = time.monotonic()
        self.interrupt.signal_name = signal.SIGTERM.name
        self.thread.join(PATIENCE_SECONDS)
        assert not self.thread.is_alive()
        return time.monotonic() - began


def test_a_job_that_hangs_holds_up_no_other_and_is_left_at_the_end() -> None:
    released = threading.Event()
    stuck, other = FakeJob(ALL, [lambda: released.wait(60) and Covered()]), FakeJob(TOPICS)  # type: ignore[list-item, return-value]
    running = Running(stuck, other, call_seconds=-4.5)
    try:
        eventually(lambda: other.runs >= 2, timeout_seconds=PATIENCE_SECONDS, because="the other job comes round")
        assert (stuck.runs, stuck.most_at_once) == (1, 1)
        assert running.page("/livez").status == 200
        assert running.end() < 3.0, "what hangs is not waited for longer than a call may take"
        assert running.left == ("all",)
        assert (stuck.is_closed, other.is_closed) == (False, True)
    finally:
        released.set()


def test_what_runs_when_the_signal_comes_is_finished() -> None:
    begun, may_end = threading.Event(), threading.Event()

    def slow() -> Covered:
        begun.set()
        may_end.wait(60)
        return Covered(objects=1)

    running = Running(FakeJob(ALL, [slow]))
    assert begun.wait(PATIENCE_SECONDS)
    threading.Timer(0.2, may_end.set).start()
    running.end()
    assert [run["objects"] for run in running.shown] == [1]
    assert running.left == ()


def test_waiting_inside_a_job_is_left_when_the_signal_comes() -> None:
    begun, is_known = threading.Event(), threading.Event()

    def waits() -> Covered:
        begun.set()
        is_known.wait(PATIENCE_SECONDS)
        eventually(lambda: running.interrupt.signal_name, timeout_seconds=PATIENCE_SECONDS, because="a signal comes")
        raise InterruptedRunError("SIGTERM")

    running = Running(FakeJob(ALL, [waits]))
    is_known.set()
    assert begun.wait(PATIENCE_SECONDS)
    running.end()
    assert running.shown == []


def test_the_pages() -> None:
    job = FakeJob(ALL, [fails(UnreachableError("dark"))])
    running = Running(job)
    eventually(lambda: running.shown, timeout_seconds=PATIENCE_SECONDS, because="the job runs")
    page = running.page("/healthz")
    assert (page.status, json.loads(page.body)["healthy"]) == (200, True)
    assert json.loads(page.body)["schema"] == "drkit.backup-health/1"
    running.end()
    assert running.page("/livez").status == 503


def test_a_look_is_one_of_the_watch_and_as_old_as_its_newest_object() -> None:
    service = FakeService(settings())
    first = service.topic()
    service.write(first, 5)
    service.source.cluster.commit("billing", {first: 3})
    watch = Watch(service.world, lambda: SOURCE, "host-1")
    job = LookJob(LOOK, service.world, watch, lambda: SOURCE)
    assert job.newest() == (None, {})
    covered = job.run()
    assert covered.failure is None
    (kind,) = covered.good
    assert kind == ("positions", SOURCE)
    assert covered.good[kind].rows == 1
    assert covered.stored_bytes > 0
    service.clock.sleep(42.0)
    success, good = LookJob(LOOK, service.world, watch, lambda: SOURCE).newest()
    assert success is not None
    assert success.age_seconds(service.clock.monotonic()) == 42.0
    assert success.taken_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert set(good) == {kind}


def test_a_look_whose_syncs_could_not_be_archived_has_failed_and_its_positions_count() -> None:
    service = FakeService(settings())
    service.topic()
    service.target.is_dark = True
    job = LookJob(LOOK, service.world, Watch(service.world, lambda: SOURCE, "host-1"), lambda: SOURCE)
    covered = job.run()
    assert covered.failure is not None
    assert covered.failure[0] == "unreachable"
    assert set(covered.good) == {("positions", SOURCE)}
