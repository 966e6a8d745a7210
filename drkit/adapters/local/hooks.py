"""Fences that the operator's own commands put and lift."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import IO, cast

from drkit.adapters.local.untrusted_text import printable
from drkit.config.models import HookFence
from drkit.errors import RefusedError, StoppedError, UnknownOutcomeError

_KEPT_BYTES = 4096
_LINGER_SECONDS = 0.2
"""How long the output of a command that has ended is read on, in case a child of it holds the pipe."""


class HookFenceDriver:
    """``drkit.ports.FenceDriver`` that runs ``fence.put`` and ``fence.lift``: argument lists, never a shell.

    A command finds ``DRKIT_REGION``, ``DRKIT_CLUSTER_ID`` and ``DRKIT_SCOPE`` (``producers`` or ``consumers``) in its
    environment, and no input. It must be safe to run again, for a resumed run does that.

    Every call raises ``RefusedError`` for a command that cannot be started, ``StoppedError`` with what it said for
    one that fails, and ``UnknownOutcomeError`` for one that had to be killed at its deadline, with its whole process
    group. ``end_seconds``: what such a command gets to end by itself, before it is killed.
    """

    def __init__(
        self, fence: HookFence, *, region: str, cluster_id: str, seconds: float, end_seconds: float = 2.0
    ) -> None:
        self._fence = fence
        self._environment = {"DRKIT_REGION": region, "DRKIT_CLUSTER_ID": cluster_id}
        self._seconds = seconds
        self._end_seconds = end_seconds

    def put_producers(self) -> Mapping[str, object]:
        """Stop the applications' writes; the command, how long it took and what it said."""
        return self._run("put", self._fence.put, "producers")

    def lift_producers(self) -> Mapping[str, object]:
        """Allow them again."""
        return self._run("lift", self._fence.lift, "producers")

    def is_put(self) -> bool | None:
        """None: only a probe can tell what a command of the operator's did."""
        return None

    def put_consumers(self, groups: Collection[str]) -> Mapping[str, object]:
        """Stop the applications' commits: of the whole service, whichever groups are named."""
        return self._run("put", self._fence.put, "consumers")

    def lift_consumers(self) -> Mapping[str, object]:
        """Allow them again."""
        return self._run("lift", self._fence.lift, "consumers")

    def _run(self, action: str, command: Sequence[str], scope: str) -> Mapping[str, object]:
        started = time.monotonic()
        # Only the program's name is shown: its arguments may say more than a report should.
        label = f"the hook {printable(command[0], limit=200)} ({action}, {scope})"
        environment = {**os.environ, **self._environment, "DRKIT_SCOPE": scope}
        status, said = _run_command(label, command, environment, self._seconds, self._end_seconds)
        seconds = time.monotonic() - started
        if status is None:
            raise UnknownOutcomeError(
                f"{label} did not end within {self._seconds:g} s and was killed{_quoted(said)}",
                hint="find out what it did; it is run again by drkit resume",
            )
        if status != 0:
            ending = f"ended with status {status}" if status > 0 else f"was killed by signal {-status}"
            raise StoppedError(f"{label} {ending}{_quoted(said)}", hint="put right what it reports, then drkit resume")
        return {"driver": "hook", "command": command[0], "scope": scope, "seconds": round(seconds, 3), "said": said}


def _quoted(said: str) -> str:
    return f": {said}" if said else ""


def _run_command(
    label: str, command: Sequence[str], environment: Mapping[str, str], seconds: float, end_seconds: float
) -> tuple[int | None, str]:
    """Exit status (negative: signal; None: killed at the deadline) and the end of the output."""
    deadline = time.monotonic() + seconds
    try:
        process = subprocess.Popen(
            list(command),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise RefusedError(f"{label} cannot be started: {error}", hint="correct fence in drkit.yaml") from error
    with cast("IO[bytes]", process.stdout) as output:
        try:
            said = _read_output(process, output, deadline)
        finally:
            # Also when drkit is interrupted: nothing of a hook goes on unseen.
            is_late = process.poll() is None
            if is_late:
                _end_group(process, end_seconds)
    return None if is_late else process.returncode, printable(said, limit=_KEPT_BYTES)


def _read_output(process: subprocess.Popen[bytes], output: IO[bytes], deadline: float) -> bytes:
    """The last bytes of the output, until the process has ended or the deadline."""
    kept = b""
    is_open = True
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while (remaining := deadline - time.monotonic()) > 0:
            has_ended = process.poll() is not None
            if has_ended:
                deadline = min(deadline, time.monotonic() + _LINGER_SECONDS)
            if not is_open:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(remaining)
                break
            if selector.select(min(remaining, _LINGER_SECONDS)):
                chunk = os.read(output.fileno(), 1 << 16)
                is_open = bool(chunk)
                kept = (kept + chunk)[-_KEPT_BYTES:]
            elif has_ended:
                break
    return kept


def _end_group(process: subprocess.Popen[bytes], seconds: float) -> None:
    # SIGKILL in any case: the first process may have gone, but not what it started.
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, kind)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
