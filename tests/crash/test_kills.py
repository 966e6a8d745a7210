"""A run is killed (SIGKILL) at every failpoint; another process goes on, and it ends like an uninterrupted run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drkit.adapters.local.files import LocalObjectStore
from drkit.domain.lifecycle import Phase
from drkit.domain.run_entries import parse
from drkit.domain.runs import RunState
from drkit.engine import failpoints
from drkit.engine import journal as journals
from drkit.errors import ExitCode
from tests.fakes.aws import FakeObjectStore
from tests.fakes.clock import FakeClock
from tests.fakes.engine import Operator
from tests.fakes.procedure import World, procedure
from tests.waiting import eventually

PROCEDURE = procedure(World(FakeObjectStore()))
ALL = failpoints.names(PROCEDURE.steps, PROCEDURE.no_return_after)
UNDO = tuple(name for name in ALL if "undo" in name)
ABORT_ONLY = (*UNDO, "run:after-abort-started")
FORWARD = tuple(name for name in ALL if name not in ABORT_ONLY and name != "run:after-take-over")
BEFORE_NO_RETURN = FORWARD[: FORWARD.index("redirect:after-apply")]


class Driver:
    """The process that starts processes."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.driver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={name: value for name, value in os.environ.items() if not name.startswith("DRKIT_")},
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """One request, one answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the driver has died"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


@pytest.fixture(scope="module", name="driver")
def _driver() -> Iterator[Driver]:
    driver = Driver()
    yield driver
    driver.close()


class Site:
    """Where the processes of one test work."""

    def __init__(self, driver: Driver, directory: Path) -> None:
        self._driver = driver
        self._directory = directory
        self._state = LocalObjectStore(directory / "state")
        self._world = LocalObjectStore(directory / "world")

    def ask(self, command: str, **request: Any) -> dict[str, Any]:
        """Run one drkit process to its end."""
        return self._driver.ask(command=command, directory=str(self._directory), **request)

    def start(self, command: str, **request: Any) -> int:
        """Start a drkit process; its pid."""
        pid: int = self.ask(command, leave_running=True, **request)["pid"]
        return pid

    def killed(self, command: str, failpoint: str, **request: Any) -> None:
        """Run one drkit process and see it killed."""
        assert self.ask(command, failpoint=failpoint, **request) == {"signal": signal.SIGKILL}, failpoint

    @property
    def run(self) -> RunState:
        """The run, read strictly."""
        return journals.load(self._state, journals.run_ids(self._state)[0])

    @property
    def parts(self) -> dict[str, str]:
        """The world."""
        return World(self._world).parts()

    def local_lines(self) -> list[bytes]:
        """The local copy of the journal."""
        return (self._directory / "local" / f"{self.run.run_id}.jsonl").read_bytes().splitlines()


@pytest.fixture(name="site")
def _site(driver: Driver, tmp_path: Path) -> Site:
    return Site(driver, tmp_path)


def uninterrupted() -> tuple[RunState, dict[str, str]]:
    """How it ends when nothing happens."""
    world = World(FakeObjectStore())
    return Operator(FakeObjectStore(), world, FakeClock()).run(), world.parts()


def ends_like_the_uninterrupted(site: Site) -> None:
    """The same outcome, the same evidence, the same world."""
    run, parts = uninterrupted()
    assert site.parts == parts
    assert site.run.phase is run.phase is Phase.SUCCEEDED
    assert site.run.evidence == run.evidence
    for line in site.local_lines():
        parse(line)


def is_undone(site: Site) -> None:
    """Nothing is left of it."""
    assert set(site.parts.values()) <= {"off"}
    assert site.run.phase is Phase.UNDONE


def test_every_failpoint_is_in_one_of_the_lists() -> None:
    assert set(ALL) == {*FORWARD, *ABORT_ONLY, "run:after-take-over"}
    effects = {step.name for step in PROCEDURE.steps if step.is_effect}
    for name in effects:
        assert {point for point in FORWARD if point.startswith(f"{name}:")} == {
            f"{name}:{side}" for side in failpoints.AROUND_EFFECT
        }


@pytest.mark.parametrize("failpoint", FORWARD)
def test_killed_and_resumed(site: Site, failpoint: str) -> None:
    site.killed("run", failpoint)
    answer = site.ask("resume")
    if failpoint == "run:after-finish":
        assert (answer["exit_code"], answer["message"]) == (5, f"run {site.run.run_id} is over: succeeded")
    else:
        assert answer["exit_code"] == 0, answer
    ends_like_the_uninterrupted(site)


@pytest.mark.parametrize("failpoint", BEFORE_NO_RETURN)
def test_killed_and_aborted(site: Site, failpoint: str) -> None:
    site.killed("run", failpoint)
    assert site.ask("abort")["exit_code"] == 0
    is_undone(site)


def test_killed_behind_the_redirect_and_not_aborted(site: Site) -> None:
    """Its evidence is missing, but clients have moved."""
    site.killed("run", "redirect:after-apply")
    refused = site.ask("abort")
    assert (refused["exit_code"], "cannot be undone" in refused["message"]) == (5, True)
    assert site.ask("resume")["exit_code"] == 0
    ends_like_the_uninterrupted(site)


@pytest.mark.parametrize("failpoint", [name for name in FORWARD if "-intent" in name or "-apply" in name])
def test_killed_twice_and_resumed(site: Site, failpoint: str) -> None:
    """The second process dies right after it took over, the third where the first one did, if it gets there again."""
    site.killed("run", failpoint)
    site.killed("resume", "run:after-take-over")
    third = site.ask("resume", failpoint=failpoint)
    assert third["signal"] in (0, signal.SIGKILL)
    if third["signal"]:
        assert site.ask("resume")["exit_code"] == 0
    ends_like_the_uninterrupted(site)


@pytest.mark.parametrize("failpoint", ABORT_ONLY)
def test_killed_while_it_is_undone_and_aborted_again(site: Site, failpoint: str) -> None:
    stopped = site.ask("run", faults=["redirect:apply:fail"])
    assert stopped["exit_code"] == ExitCode.STOPPED
    site.killed("abort", failpoint)
    refused = site.ask("resume")
    assert (refused["exit_code"], "is being undone" in refused["message"]) == (5, True)
    assert site.ask("abort")["exit_code"] == 0
    is_undone(site)


@pytest.mark.parametrize("failpoint", [*(name for name in UNDO if "fence" in name), "run:after-abort-started"])
def test_killed_while_it_undoes_itself(site: Site, failpoint: str) -> None:
    site.killed("run", failpoint, undo_on_failure=True, faults=["promote:half-way:fail"])
    assert site.ask("abort")["exit_code"] == 0
    is_undone(site)


def test_an_operator_elsewhere_waits_for_silence_and_goes_on(site: Site) -> None:
    site.killed("run", "promote:after-apply", lease_seconds=1.0)
    assert site.ask("resume", host="there", lease_seconds=1.0)["exit_code"] == 0
    ends_like_the_uninterrupted(site)
    assert site.run.owner.startswith("operator@there")


def test_a_second_operator_is_refused_while_the_first_works(site: Site) -> None:
    pid = site.start("run", faults=["promote:observe:freeze"])
    eventually(lambda: is_stopped(pid), timeout_seconds=20, because="it freezes itself")
    refused = site.ask("run", host="there")
    assert refused["exit_code"] == ExitCode.LEASE_HELD
    assert f"operator@here pid {pid}" in refused["message"]
    assert f"drkit resume {site.run.run_id}" in refused["hint"]
    os.kill(pid, signal.SIGCONT)
    assert site.ask("wait", pid=pid)["exit_code"] == 0
    ends_like_the_uninterrupted(site)


@pytest.mark.parametrize("method", ["observe", "half-way"])
def test_a_frozen_process_that_wakes_after_a_takeover_changes_nothing(site: Site, method: str) -> None:
    pid = site.start("run", lease_seconds=1.0, faults=[f"promote:{method}:freeze"])
    eventually(lambda: is_stopped(pid), timeout_seconds=20, because="it freezes itself")
    assert site.ask("resume", host="there", lease_seconds=1.0)["exit_code"] == 0
    before, parts = site.run, site.parts
    os.kill(pid, signal.SIGCONT)
    assert site.ask("wait", pid=pid)["exit_code"] == ExitCode.LEASE_LOST
    assert (site.run, site.parts) == (before, parts)
    ends_like_the_uninterrupted(site)


def test_a_signal_ends_it_at_a_safe_point_and_names_the_command(site: Site) -> None:
    answer = site.ask("run", faults=["cut:half-way:interrupt"])
    assert answer["exit_code"] == ExitCode.INTERRUPTED
    assert answer["hint"].startswith(f"drkit resume {site.run.run_id} goes on")
    assert site.run.phase is Phase.INTERRUPTED
    assert site.run.steps["cut"].is_done
    assert site.ask("resume")["exit_code"] == 0
    ends_like_the_uninterrupted(site)


def is_stopped(pid: int) -> bool:
    """Whether a process is frozen by SIGSTOP."""
    return subprocess.check_output(["ps", "-o", "stat=", "-p", str(pid)], text=True).startswith("T")
