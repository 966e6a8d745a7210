"""Processes of a sandbox: found by a mark on their command line, never by a remembered pid.

Every process carries the sandbox's directory and its own name as arguments (``-Ddrkit.sandbox=...`` for Java,
``-X drkit.sandbox=...`` for Python). The process table is therefore the only record there is: nothing goes stale, a
recycled pid is never taken for one of ours, and what a killed ``drkit sandbox up`` has left behind is found.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import psutil

from drkit.errors import RefusedError, StoppedError

_SANDBOX: Final = "drkit.sandbox="
_PROCESS: Final = "drkit.process="
_SIGNAL_SECONDS: Final = 20.0
# A user's settings for other Java programs or for the real AWS must not reach these.
_FOREIGN_VARIABLES: Final = ("AWS_", "MOTO_", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH")
# The shell ends at once and leaves the process to init: it outlives drkit and never becomes its zombie.
_DETACH: Final = '"$@" </dev/null >>"$0" 2>&1 & echo $!'


class ProcessState(StrEnum):
    """What a process is doing."""

    RUNNING = "running"
    STOPPED = "stopped"
    """Frozen by SIGSTOP."""
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """A process that should exist; ``pid`` is None where it does not."""

    state: ProcessState
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """How to start a process. ``command`` is complete: interpreter, marks (``Processes.marks``), program, arguments."""

    name: str
    command: tuple[str, ...]
    log: Path
    environment: Mapping[str, str]


class Processes:
    """The processes of the sandbox in one directory."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def marks(self, name: str) -> tuple[str, str]:
        """The two texts that a process of this sandbox has on its command line."""
        return f"{_SANDBOX}{self._root}", f"{_PROCESS}{name}"

    def java_marks(self, name: str) -> tuple[str, ...]:
        """The marks as arguments of ``java``: system properties."""
        return tuple(f"-D{mark}" for mark in self.marks(name))

    def python_marks(self, name: str) -> tuple[str, ...]:
        """The marks as arguments of ``python``, which ignores the ``-X`` options that it does not know."""
        return tuple(argument for mark in self.marks(name) for argument in ("-X", mark))

    def find(self) -> dict[str, list[psutil.Process]]:
        """Every live process of the sandbox by name; usually one each."""
        found: dict[str, list[psutil.Process]] = {}
        for process in psutil.process_iter(["cmdline"]):
            name = self._name_of(process.info["cmdline"] or ())
            if name is not None and _state(process) is not ProcessState.DEAD:
                found.setdefault(name, []).append(process)
        return found

    def _name_of(self, command: Iterable[str]) -> str | None:
        arguments = [argument.removeprefix("-D") for argument in command]
        if f"{_SANDBOX}{self._root}" not in arguments:
            return None
        names = [argument.removeprefix(_PROCESS) for argument in arguments if argument.startswith(_PROCESS)]
        return names[0] if names else None

    def status(self, names: Iterable[str]) -> dict[str, ProcessStatus]:
        """What these processes are doing now."""
        found = self.find()
        return {name: _status(found.get(name, ())) for name in names}

    def start(self, spec: ProcessSpec) -> psutil.Process:
        """Start a process of its own session, which outlives this one; its output goes to the end of its log."""
        spec.log.parent.mkdir(parents=True, exist_ok=True)
        launched = subprocess.run(
            ["/bin/sh", "-c", _DETACH, str(spec.log), *spec.command],
            cwd=self._root,
            env=_environment(spec),
            start_new_session=True,
            stdout=subprocess.PIPE,
            check=True,
            timeout=_SIGNAL_SECONDS,
        )
        try:
            return psutil.Process(int(launched.stdout))
        except psutil.NoSuchProcess:
            raise start_failure(spec) from None

    def run(self, specs: Iterable[ProcessSpec], *, deadline_seconds: float = 60) -> None:
        """Run processes to their ends, side by side. Raises ``StoppedError`` for one that fails."""
        running: list[tuple[ProcessSpec, subprocess.Popen[bytes]]] = []
        try:
            for spec in specs:
                spec.log.parent.mkdir(parents=True, exist_ok=True)
                with spec.log.open("ab") as log:
                    process = subprocess.Popen(
                        spec.command,
                        cwd=self._root,
                        env=_environment(spec),
                        start_new_session=True,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                    )
                running.append((spec, process))
            for spec, process in running:
                _await_end(spec, process, deadline_seconds)
        finally:
            for _, process in running:
                process.kill()
                process.wait()

    def kill(self, names: Iterable[str] | None = None) -> None:
        """SIGKILL these processes (None: all) and wait until they are gone."""
        wanted = None if names is None else list(names)

        def gone() -> bool:
            # Look again each time: a shell that was about to start one of them may have been found in its place.
            left = self._selected(wanted)
            for process in left:
                _signal(process, psutil.Process.kill)
            return not left

        _wait(gone, "a killed process did not end")

    def freeze(self, name: str) -> None:
        """SIGSTOP a process and wait until it stands still."""
        self._switch(name, psutil.Process.suspend, ProcessState.STOPPED)

    def thaw(self, name: str) -> None:
        """SIGCONT a process and wait until it runs."""
        self._switch(name, psutil.Process.resume, ProcessState.RUNNING)

    def _switch(self, name: str, signal: Callable[[psutil.Process], None], wanted: ProcessState) -> None:
        for process in self._selected([name]):
            _signal(process, signal)
        _wait(lambda: self.status([name])[name].state in (wanted, ProcessState.DEAD), f"{name} did not become {wanted}")

    def _selected(self, names: Iterable[str] | None) -> list[psutil.Process]:
        found = self.find()
        chosen = found if names is None else names
        return [process for name in chosen for process in found.get(name, ())]


def is_alive(process: psutil.Process) -> bool:
    """Whether the process has not ended. A zombie has."""
    return process.is_running() and _state(process) is not ProcessState.DEAD


def start_failure(spec: ProcessSpec, what: str = "ended while it was starting") -> StoppedError:
    """The error for a process that did not start, with the end of its log."""
    return StoppedError(
        f"{spec.name} {what}\n{log_tail(spec.log)}",
        hint=f"see {spec.log}; drkit sandbox up tries again, drkit sandbox down clears everything",
    )


def log_tail(log: Path, *, lines: int = 12) -> str:
    """The last lines of a log that speak of trouble, or simply the last ones."""
    try:
        text = log.read_text(errors="replace").splitlines()[-400:]
    except FileNotFoundError:
        return "  (it wrote no log)"
    relevant = [line for line in text if "ERROR" in line or "Exception" in line or "Error:" in line or "FATAL" in line]
    return "\n".join(f"  {line[:300]}" for line in (relevant or text)[-lines:])


def _await_end(spec: ProcessSpec, process: subprocess.Popen[bytes], deadline_seconds: float) -> None:
    try:
        code = process.wait(deadline_seconds)
    except subprocess.TimeoutExpired:
        raise start_failure(spec, f"did not end within {deadline_seconds:g} s") from None
    if code != 0:
        raise start_failure(spec, f"failed with status {code}")


def _environment(spec: ProcessSpec) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN_VARIABLES)}
    return own | dict(spec.environment)


def _status(processes: Iterable[psutil.Process]) -> ProcessStatus:
    for process in processes:
        state = _state(process)
        if state is not ProcessState.DEAD:
            return ProcessStatus(state, process.pid)
    return ProcessStatus(ProcessState.DEAD)


def _state(process: psutil.Process) -> ProcessState:
    try:
        status = process.status()
    except psutil.NoSuchProcess:
        return ProcessState.DEAD
    if status in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
        return ProcessState.DEAD
    return ProcessState.STOPPED if status == psutil.STATUS_STOPPED else ProcessState.RUNNING


def _signal(process: psutil.Process, signal: Callable[[psutil.Process], None]) -> None:
    try:
        signal(process)
    except psutil.NoSuchProcess:
        return


def _wait(condition: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + _SIGNAL_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise RefusedError(f"{complaint} within {_SIGNAL_SECONDS:.0f} s")
        time.sleep(0.02)
