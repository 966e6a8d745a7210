"""Who this process is, for the lease, and whether the process that a lease names is dead.

A process is known to be dead only on the machine that it ran on: same boot, same process namespace (two containers of
one machine do not see each other's processes). Anything else is unknown, and unknown is never dead.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
import re
from pathlib import Path
from typing import Final

_OWNER: Final = re.compile(r".* \(pid ([0-9]{1,10}), started ([0-9]+), machine ([0-9a-f]{12})\)", re.DOTALL)
_PROC: Final = Path("/proc")
_ENDED: Final = frozenset({"Z", "X"})


def operator() -> str:
    """The name of the person or the job, as the operating system has it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def owner() -> str:
    """Text for people that also identifies this process: its machine, id and start."""
    name = f"{operator()}@{platform.node() or 'unknown'}"
    machine, state = _machine(), _state(os.getpid())
    if machine is None or state is None:
        return f"{name} (pid {os.getpid()})"
    return f"{name} (pid {os.getpid()}, started {state[1]}, machine {machine})"


def is_gone(who: str) -> bool:
    """Whether the process that this text names is known to be dead."""
    found = _OWNER.fullmatch(who)
    if found is None or found[3] != _machine():
        return False
    pid = int(found[1])
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        # It is another user's; its state can be read all the same where /proc shows it.
        pass
    state = _state(pid)
    # A process id that was given out again has another start.
    return state is not None and (state[0] in _ENDED or state[1] != int(found[2]))


def _machine() -> str | None:
    """This boot of this machine and this process namespace; None where the system does not tell."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink(_PROC / "self/ns/pid")  # noqa: PTH115 - the link's text is the namespace
    except OSError:
        return None
    return hashlib.sha256(f"{boot} {namespace}".encode()).hexdigest()[:12]


def _state(pid: int) -> tuple[str, int] | None:
    """State letter and start time in clock ticks since boot (proc_pid_stat(5), fields 3 and 22); None if unknown."""
    try:
        # The command name before them is in parentheses, and may hold anything.
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        return fields[0], int(fields[19])
    except (OSError, IndexError, ValueError):
        return None
