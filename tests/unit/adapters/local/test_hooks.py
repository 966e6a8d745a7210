"""Hooks: what they are given, what they say, and how they end."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from drkit.adapters.local.hooks import HookFenceDriver
from drkit.config.models import HookFence
from drkit.errors import RefusedError, StoppedError, UnknownOutcomeError
from tests.waiting import eventually


def _driver(*put: str, lift: tuple[str, ...] = ("true",), seconds: float = 10) -> HookFenceDriver:
    fence = HookFence(kind="hook", put=put, lift=lift)
    return HookFenceDriver(fence, region="ap-east-2", cluster_id="Kx9", seconds=seconds)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_it_is_told_where_and_what() -> None:
    show = ("sh", "-c", 'echo "$DRKIT_REGION $DRKIT_CLUSTER_ID $DRKIT_SCOPE"')
    driver = _driver(*show, lift=("sh", "-c", 'echo "lift $DRKIT_SCOPE"'))
    assert driver.put_producers()["said"] == "ap-east-2 Kx9 producers"
    assert driver.put_consumers(["g1"])["said"] == "ap-east-2 Kx9 consumers"
    assert driver.lift_producers()["said"] == "lift producers"
    assert driver.lift_consumers()["said"] == "lift consumers"


def test_the_evidence_names_the_program_and_not_its_arguments() -> None:
    evidence = _driver("sh", "-c", "exit 0", "hunter2").put_producers()
    seconds = evidence["seconds"]
    assert isinstance(seconds, float)
    assert 0 <= seconds < 10
    assert {**evidence, "seconds": 0} == {
        "driver": "hook", "command": "sh", "scope": "producers", "seconds": 0, "said": ""
    }  # fmt: skip


def test_there_is_no_shell(tmp_path: Path) -> None:
    target = tmp_path / "made"
    assert _driver("echo", f"$(touch {target})", ";", "touch", str(target)).put_producers()["said"] == (
        f"$(touch {target}) ; touch {target}"
    )
    assert not target.exists()


def test_there_is_no_input() -> None:
    assert _driver("cat", seconds=5).put_producers()["said"] == ""


def test_the_rest_of_the_environment_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "operator")
    assert _driver("sh", "-c", 'echo "$AWS_PROFILE"').put_producers()["said"] == "operator"


def test_a_failure_says_what_the_hook_said() -> None:
    with pytest.raises(StoppedError, match=r"sh \(put, producers\) ended with status 3: denied by SCP") as caught:
        _driver("sh", "-c", "echo denied by SCP >&2; exit 3").put_producers()
    assert caught.value.hint


def test_a_crash_is_named() -> None:
    with pytest.raises(StoppedError, match="killed by signal 11"):
        _driver("sh", "-c", "kill -SEGV $$").put_producers()


@pytest.mark.parametrize("command", ["no-such-command-anywhere", "/", "/etc/hostname"])
def test_a_command_that_cannot_be_started_changes_nothing(command: str) -> None:
    with pytest.raises(RefusedError, match="cannot be started"):
        _driver(command).put_producers()


def test_a_late_hook_is_killed_with_everything_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f'trap "" TERM; sleep 60 & echo $! >> {pids}; echo $$ >> {pids}; echo working; wait; sleep 60'
    started = time.monotonic()
    with pytest.raises(UnknownOutcomeError, match=r"did not end within 0\.5 s and was killed: working"):
        _driver("sh", "-c", script, seconds=0.5).put_producers()
    assert time.monotonic() - started < 6
    left = [int(pid) for pid in pids.read_text().split()]
    assert len(left) == 2
    eventually(lambda: not any(map(_is_alive, left)), timeout_seconds=5, because="the group was killed", every=0.02)


def test_a_late_hook_may_end_by_itself_when_asked() -> None:
    started = time.monotonic()
    with pytest.raises(UnknownOutcomeError):
        _driver("sleep", "60", seconds=0.2).put_producers()
    assert time.monotonic() - started < 1.5


def test_what_a_hook_leaves_behind_is_not_waited_for(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    started = time.monotonic()
    evidence = _driver("sh", "-c", f"sleep 30 & echo $! > {pid_file}; echo done").put_producers()
    assert evidence["said"] == "done"
    assert time.monotonic() - started < 5
    os.kill(int(pid_file.read_text()), 9)


def test_a_hook_that_closes_its_output_is_still_waited_for() -> None:
    started = time.monotonic()
    with pytest.raises(StoppedError, match="status 4"):
        _driver("sh", "-c", "exec >&- 2>&-; sleep 0.3; exit 4").put_producers()
    assert time.monotonic() - started >= 0.3


def test_output_without_end_is_bounded_and_its_end_is_kept() -> None:
    with pytest.raises(StoppedError) as caught:
        _driver("sh", "-c", "head -c 5000000 /dev/zero | tr '\\0' x; echo the reason; exit 1").put_producers()
    assert len(caught.value.message) < 5000
    assert caught.value.message.endswith("the reason")


def test_a_flood_does_not_outlive_the_deadline() -> None:
    started = time.monotonic()
    with pytest.raises(UnknownOutcomeError):
        _driver("yes", seconds=0.5).put_producers()
    assert time.monotonic() - started < 4


def test_output_cannot_reach_the_terminal() -> None:
    said = _driver("printf", "a\\033[2J\\nb\\377\\007").put_producers()["said"]
    assert said == "a\\x1b[2J\\nb\\xff\\x07"


def test_whether_it_is_put_only_a_probe_can_tell() -> None:
    assert _driver("true").is_put() is None
