"""This process, as leases and journals name it."""

from __future__ import annotations

import getpass
import os
import socket
from pathlib import Path


def operator() -> str:
    """Who runs drkit."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def owner() -> str:
    """This process: operator, machine, pid, and the process's start, which tells a recycled pid apart."""
    return f"{operator()}@{socket.gethostname()} pid {os.getpid()} started {_started(os.getpid())}"


def is_gone(who: str) -> bool:
    """Whether the process behind an ``owner`` is known to be dead; False for one on another machine."""
    name, _, rest = who.partition(" pid ")
    pid, _, started = rest.partition(" started ")
    if name.rpartition("@")[2] != socket.gethostname() or not pid.isdecimal() or started == "unknown":
        return False
    return _started(int(pid)) != started


def _started(pid: int) -> str:
    """Start time in clock ticks since boot, where the system tells (proc(5), field 22)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "unknown"
