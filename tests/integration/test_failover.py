"""A planned failover under load on real brokers, killed (-9) at every step that changes something, and resumed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drkit.engine.step import Mode
from drkit.errors import ExitCode
from drkit.procedures.failover import STEPS
from drkit.sandbox import Sandbox
from drkit.sandbox.workload.control import Workload
from tests.conftest import protected_sandbox
from tests.e2e.command import drkit
from tests.e2e.world import PRIMARY, STANDBY
from tests.waiting import eventually

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(420)]

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


@pytest.fixture(name="box")
def _box(tmp_path: Path) -> Iterator[Sandbox]:
    with protected_sandbox(tmp_path / "sandbox") as box:
        yield box


def killed(box: Sandbox, *command: str, at: str) -> None:
    """Run it, and have it kill itself there."""
    answer = drkit(*command, config=box.config, DRKIT_FAILPOINT=at)
    assert answer.code == -9, f"not killed at {at}: {answer.said}"


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

    command: tuple[str, ...] = MOVE
    for step, point in KILLS.items():
        killed(box, *command, at=f"{step}:{point}")
        command = RESUME
    newest = drkit("runs", "list", *JSON, config=box.config).document["runs"][0]
    assert newest["outcome"] == "running"
    refused = drkit(*MOVE, config=box.config)
    assert refused.code == ExitCode.REFUSED, refused.said
    assert f"drkit resume {newest['run_id']}" in refused.stderr
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
