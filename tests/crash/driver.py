"""Runs one drkit process after another, each a process of its own, on state and world in a directory.

Started once per test session (``python -m tests.crash.driver``): importing takes longer than a run, so each process is
forked from one that has imported everything and has no thread. Requests and answers are lines of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from drkit.adapters.local.clock import SystemClock
from drkit.adapters.local.files import LocalObjectStore, append_line
from drkit.errors import DrkitError, RefusedError
from tests.fakes.engine import Operator
from tests.fakes.procedure import World


def is_gone(owner: str) -> bool:
    """Whether the process that the owner names is dead; one of another machine is never known to be."""
    who, _, pid = owner.partition(" pid ")
    if who != "operator@here":
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    return False


def fault(text: str) -> tuple[tuple[str, str], Callable[[], object]]:
    """``step:method:what``: fail there, stop there until somebody sends SIGCONT, or get a SIGTERM there."""
    step, method, what = text.split(":")

    def fail() -> NoReturn:
        raise RefusedError(f"{step} was made to fail")

    def freeze() -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    return (step, method), {"fail": fail, "freeze": freeze, "interrupt": interrupt}[what]


def operate(request: dict[str, Any]) -> dict[str, Any]:
    """What one drkit process does, and how it ends."""
    directory, clock = Path(request["directory"]), SystemClock()
    if request.get("failpoint"):
        os.environ["DRKIT_FAILPOINT"] = request["failpoint"]
    world = World(LocalObjectStore(directory / "world"), dict(fault(text) for text in request.get("faults", [])))
    operator = Operator(
        LocalObjectStore(directory / "state"),
        world,
        clock,
        owner=f"operator@{request.get('host', 'here')} pid {os.getpid()}",
        is_gone=is_gone,
        local=lambda run_id, line: append_line(directory / "local" / f"{run_id}.jsonl", line),
        background=True,
        lease_seconds=request.get("lease_seconds", 30.0),
    )
    try:
        if request["command"] == "run":
            final = operator.run(undo_on_failure=request.get("undo_on_failure", False))
        else:
            final = operator.resume() if request["command"] == "resume" else operator.abort()
    except DrkitError as error:
        return {"exit_code": int(error.exit_code), "message": error.message, "hint": error.hint}
    return {"exit_code": 0, "message": final.phase.value, "hint": ""}


def fork(request: dict[str, Any]) -> tuple[int, int]:
    """Start a process; its pid, and where its answer can be read."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    try:
        os.write(writing, json.dumps(operate(request)).encode())
    except BaseException as error:  # noqa: BLE001 - whatever it is, the test shall see it
        os.write(writing, json.dumps({"exit_code": 1, "message": repr(error), "hint": ""}).encode())
    finally:
        os._exit(0)


def wait(pid: int, reading: int) -> dict[str, Any]:
    """How a process ended."""
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    return {"signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, **json.loads(said or b"{}")}


def main() -> None:
    """Serve requests until the input ends. ``start`` leaves a process running; ``wait`` waits for it."""
    running: dict[int, int] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if request["command"] == "wait":
            answer = wait(request["pid"], running.pop(request["pid"]))
        else:
            pid, reading = fork(request)
            if request.get("leave_running"):
                running[pid] = reading
                answer = {"pid": pid}
            else:
                answer = wait(pid, reading)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
