from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drkit.errors import StoppedError
from drkit.sandbox.processes import Processes, ProcessSpec, ProcessState, log_tail
from tests.waiting import eventually

SLEEP = "import time; time.sleep(60)"


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    found = Processes(tmp_path)
    yield found
    found.kill()


def spec(processes: Processes, tmp_path: Path, name: str, program: str) -> ProcessSpec:
    command = (sys.executable, *processes.python_marks(name), "-c", program)
    return ProcessSpec(name, command, tmp_path / f"{name}.log", {"AWS_PROFILE": "given"})


def states(processes: Processes, *names: str) -> list[ProcessState]:
    return [status.state for status in processes.status(names).values()]


def test_a_process_is_found_frozen_thawed_and_killed_by_its_name(processes: Processes, tmp_path: Path) -> None:
    one = processes.start(spec(processes, tmp_path, "one", SLEEP))
    processes.start(spec(processes, tmp_path, "other", SLEEP))
    assert states(processes, "one", "other", "none") == [
        ProcessState.RUNNING,
        ProcessState.RUNNING,
        ProcessState.DEAD,
    ]
    # Another sandbox, even one whose directory's name begins alike, sees nothing of it.
    assert Processes(tmp_path / "one").find() == {}
    assert Processes(tmp_path.parent).find() == {}
    processes.freeze("one")
    assert states(processes, "one", "other") == [ProcessState.STOPPED, ProcessState.RUNNING]
    processes.thaw("one")
    assert processes.status(["one"])["one"].pid == one.pid
    assert states(processes, "one") == [ProcessState.RUNNING]
    processes.freeze("one")
    processes.kill(["one"])
    assert states(processes, "one", "other") == [ProcessState.DEAD, ProcessState.RUNNING]
    processes.kill()
    assert processes.find() == {}
    processes.kill()


def test_a_process_outlives_whoever_started_it_and_logs(processes: Processes, tmp_path: Path) -> None:
    program = (
        "import os; print(os.getppid(), os.getsid(0), os.environ.get('AWS_PROFILE'), "
        "os.environ.get('AWS_REGION'), flush=True);" + SLEEP
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_REGION", "the user's own")
        patch.setenv("AWS_PROFILE", "the user's own")
        processes.start(spec(processes, tmp_path, "one", program))
    log = tmp_path / "one.log"
    eventually(lambda: log.read_text().endswith("\n"), timeout_seconds=10, because="the process writes its log")
    parent, session, profile, region = log.read_text().split()
    import os

    assert int(parent) != os.getpid()
    assert int(session) != os.getsid(0)
    assert (profile, region) == ("given", "None")


def test_a_failure_shows_the_log(processes: Processes, tmp_path: Path) -> None:
    program = "print('a long story'); raise SystemExit('ERROR no such disk')"
    with pytest.raises(StoppedError) as failed:
        processes.run([spec(processes, tmp_path, "one", program)])
    assert "one failed with status 1" in failed.value.message
    assert "ERROR no such disk" in failed.value.message
    assert "a long story" not in failed.value.message
    assert str(tmp_path / "one.log") in failed.value.hint


def test_processes_that_run_to_an_end_do_so_side_by_side_and_within_their_time(
    processes: Processes, tmp_path: Path
) -> None:
    # Each waits for the other's file.
    program = (
        "import pathlib, time; pathlib.Path({0!r}).touch()\nwhile not pathlib.Path({1!r}).exists(): time.sleep(0.01)"
    )
    processes.run(
        [
            spec(processes, tmp_path, "one", program.format("a", "b")),
            spec(processes, tmp_path, "other", program.format("b", "a")),
        ]
    )
    with pytest.raises(StoppedError, match=r"did not end within 0\.3 s"):
        processes.run([spec(processes, tmp_path, "slow", SLEEP)], deadline_seconds=0.3)
    assert processes.find() == {}


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert "no log" in log_tail(log)
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    assert log_tail(log, lines=2) == "  line 98\n  line 99"
    log.write_text("ok\njava.net.BindException: Address already in use\n\tat somewhere\nok\n")
    assert log_tail(log) == "  java.net.BindException: Address already in use"
