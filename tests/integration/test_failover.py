"""A planned failover on real brokers: stopped by its operator and undone; then, under load, killed at every step.

Killed with -9 at each step that changes something, interrupted with Ctrl-C in between, and resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from drkit.engine.step import Mode
from drkit.errors import ExitCode
from drkit.procedures.failover import STEPS
from drkit.sandbox import Sandbox
from drkit.sandbox.workload.control import Workload
from tests.conftest import protected_sandbox
from tests.e2e.command import drkit
from tests.e2e.world import PRIMARY, STANDBY, acls, connectors, group_offsets, record_sets
from tests.integration.held_up import held_up, interrupt, is_fenced, patient
from tests.waiting import eventually

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(600)]

JSON = ("--output", "json")
MOVE = ("failover", "--to", STANDBY, "--yes", *JSON)
RESUME = ("resume", "--yes", *JSON)
ABORT = ("abort", "--yes", *JSON)
KILLS = {
    "snapshot": "after-intent",
    "fence-producers": "after-apply",
    "fence-consumers": "after-apply",
    "cut": "after-apply",
    "translate-offsets": "after-apply",
    "promote": "after-intent",
    "redirect": "after-apply",
    "record-direction": "after-apply",
    "stop-mirror": "after-intent",
    "plan-failback": "after-evidence",
}


@pytest.fixture(name="box", scope="module")
def _box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with protected_sandbox(tmp_path_factory.mktemp("failover") / "sandbox") as box:
        patient(box.config)
        yield box


def world(status: dict[str, Any]) -> dict[str, Any]:
    """What an abort must leave as it was before the run."""
    return {
        "acls": {region: acls(status, region) for region in (PRIMARY, STANDBY)},
        "offsets": group_offsets(status, STANDBY),
        "connectors": connectors(status, STANDBY),
        "dns": record_sets(status),
    }


def newest_run(config: Path) -> tuple[str, str]:
    """Its id and its outcome."""
    newest = drkit("runs", "list", *JSON, config=config).document["runs"][0]
    return newest["run_id"], newest["outcome"]


def a_second_operator_is_refused(config: Path, process: Popen[str]) -> None:
    """Whatever the second one tries."""
    for command in (MOVE, RESUME, ABORT):
        second = drkit(*command, config=config)
        assert second.code == ExitCode.LEASE_HELD, second.said
        assert f"pid {process.pid}" in second.stderr, second.said
    assert process.poll() is None


def interrupted(
    status: dict[str, Any], config: Path, *command: str, meanwhile: Callable[[Path, Popen[str]], None] | None = None
) -> str:
    """Run it until it waits behind its fence, and press Ctrl-C; the run's id."""
    with held_up(status, config, *command) as process:
        if meanwhile:
            meanwhile(config, process)
        stopped = interrupt(process)
    run_id, outcome = newest_run(config)
    assert (stopped.code, outcome) == (ExitCode.INTERRUPTED, "interrupted"), stopped.said
    assert "Traceback" not in stopped.stderr
    assert f"drkit resume {run_id}" in stopped.stderr
    assert f"drkit abort {run_id}" in stopped.stderr
    assert is_fenced(status), "an interrupted run leaves the fence as it is, and says so"
    return run_id


def test_what_a_second_operator_and_ctrl_c_leave_behind_is_undone(box: Sandbox) -> None:
    status = drkit("sandbox", "status", "--dir", str(box.root), *JSON).document
    before = world(status)
    run_id = interrupted(status, box.config, *MOVE, meanwhile=a_second_operator_is_refused)
    aborted = drkit("abort", run_id, "--yes", *JSON, config=box.config)
    assert aborted.code == ExitCode.DONE, aborted.said
    assert aborted.document["outcome"] == "undone"
    assert world(status) == before
    assert not is_fenced(status)
    assert drkit("abort", run_id, "--yes", *JSON, config=box.config).code == ExitCode.REFUSED


def killed(box: Sandbox, *command: str, at: str) -> None:
    """Run it, and have it kill itself there."""
    answer = drkit(*command, config=box.config, DRKIT_FAILPOINT=at)
    assert answer.code == -9, f"not killed at {at}: {answer.said}"


@pytest.mark.long
def test_whatever_it_was_doing_nothing_is_lost_and_nothing_is_read_twice(box: Sandbox) -> None:
    assert list(KILLS) == [step.name for step in STEPS[Mode.PLANNED] if step.is_effect]
    workload = Workload(box)
    workload.start(rate=300, groups=6)
    eventually(lambda: workload.report()["acknowledged"] > 2000, timeout_seconds=60, because="it writes", every=1)

    killed(box, *MOVE, at="fence-producers:after-apply")
    killed(box, *ABORT, at="fence-producers:after-undo-intent")
    undone = drkit(*ABORT, config=box.config)
    assert (undone.code, undone.document["outcome"]) == (ExitCode.DONE, "undone"), undone.said
    written = workload.report()["acknowledged"]
    eventually(
        lambda: workload.report()["acknowledged"] > written + 500,
        timeout_seconds=60,
        because="applications write to the old primary again",
        every=1,
    )

    status = drkit("sandbox", "status", "--dir", str(box.root), *JSON).document
    command: tuple[str, ...] = MOVE
    for step, point in KILLS.items():
        killed(box, *command, at=f"{step}:{point}")
        command = RESUME
        if step == "snapshot":
            interrupted(status, box.config, *RESUME)
    run_id, outcome = newest_run(box.config)
    assert outcome == "running"
    refused = drkit(*MOVE, config=box.config)
    assert refused.code == ExitCode.REFUSED, refused.said
    assert f"drkit resume {run_id}" in refused.stderr
    done = drkit(*RESUME, config=box.config)
    assert done.code == ExitCode.DONE, done.said
    assert done.document["outcome"] == "succeeded"
    assert done.document["records_lost"] == {"known": 0, "unknown": False}
    assert done.document["offsets"]["partitions"] == done.document["offsets"]["exact"] > 0

    workload.stop(drain_seconds=60)
    ledger = workload.report()
    assert ledger["acknowledged_at"].keys() == {PRIMARY, STANDBY}
    assert (ledger["lost"], ledger["replayed"], ledger["out_of_order"]) == (0, 0, 0), ledger["offenders"]

    again = drkit(*MOVE, config=box.config)
    assert again.code == ExitCode.REFUSED, again.said
    assert "already primary" in again.stderr
