"""Whose lease it is, and when its process is known to be dead."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from drkit.adapters.local import host
from tests.waiting import eventually

PROGRAM = "import time; from drkit.adapters.local.host import owner;print(owner(), flush=True); time.sleep(60)"

pytestmark = pytest.mark.skipif(not Path("/proc/self/ns/pid").exists(), reason="this system has no /proc")


def start() -> tuple[subprocess.Popen[str], str]:
    """Another process, and what it calls itself."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        return process, process.stdout.readline().rstrip("\n")


def test_it_is_one_line_for_people() -> None:
    assert re.fullmatch(rf"\S+@\S+ \(pid {os.getpid()}, started \d+, machine [0-9a-f]{{12}}\)", host.owner())


def test_this_process_is_not_gone() -> None:
    assert not host.is_gone(host.owner())


def test_a_live_a_frozen_and_a_killed_process() -> None:
    process, name = start()
    try:
        assert not host.is_gone(name)
        process.send_signal(signal.SIGSTOP)
        assert not host.is_gone(name)
        process.kill()
        # Killed and not waited for by its parent: a zombie is dead.
        eventually(lambda: host.is_gone(name), timeout_seconds=10, because="it was killed")
    finally:
        process.kill()
        process.wait(timeout=10)
    assert host.is_gone(name)


def test_a_process_id_that_was_given_out_again() -> None:
    assert host.is_gone(re.sub(r"started \d+", "started 1", host.owner()))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alice@bastion",
        "alice@bastion (pid 1)",
        "alice@bastion (pid 99999999, started 5, machine 000000000000)",
        "alice@bastion (pid x, started 5, machine 000000000000)",
    ],
)
def test_of_anybody_elsewhere_nothing_is_known(text: str) -> None:
    assert not host.is_gone(text)


def test_where_the_system_does_not_tell_nothing_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = host.owner()
    monkeypatch.setattr(host, "_PROC", tmp_path)
    assert not host.is_gone(name)
    assert re.fullmatch(rf"\S+@\S+ \(pid {os.getpid()}\)", host.owner())


def test_a_process_whose_state_is_hidden_is_not_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    name = host.owner()
    monkeypatch.setattr(host, "_state", lambda _pid: None)
    assert not host.is_gone(name)
