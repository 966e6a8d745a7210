"""The workload on real brokers: a clean run, and parts that die."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from drkit.errors import ExitCode, RefusedError
from drkit.sandbox import Sandbox
from drkit.sandbox.layout import PRIMARY
from drkit.sandbox.workload.control import Workload
from tests.e2e.command import drkit
from tests.integration.loading import writes_for

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(240)]


@pytest.fixture(name="workload")
def _workload(box: Sandbox) -> Iterator[Workload]:
    """A workload that has begun. Afterwards it is ended."""
    workload = Workload(box)
    workload.start(rate=300, groups=6)
    yield workload
    workload.stop(drain_seconds=0)


def faults(ledger: dict[str, Any]) -> tuple[int, int, int]:
    return ledger["lost"], ledger["replayed"], ledger["out_of_order"]


def test_a_clean_run(box: Sandbox, workload: Workload) -> None:
    with pytest.raises(RefusedError, match="runs already"):
        workload.start()
    writes_for(workload, 1500)
    running = workload.report()
    assert (running["phase"], faults(running), running["dead"]) == ("run", (0, 0, 0), [])
    assert running["pending"] > 0
    assert running["drained"] is False
    shown = drkit("sandbox", "status", "--dir", str(box.root), "--output", "json").document["workload"]
    assert shown == dict.fromkeys(workload.processes(), "running")

    stopped = drkit("sandbox", "workload", "stop", "--dir", str(box.root))
    assert stopped.code == ExitCode.DONE, stopped.said
    ledger = drkit("sandbox", "workload", "report", "--dir", str(box.root), "--output", "json").document
    assert ledger["schema"] == "drkit.ledger/1"
    assert (ledger["phase"], faults(ledger), ledger["duplicates"], ledger["pending"]) == ("stopped", (0, 0, 0), 0, 0)
    assert (ledger["drained"], ledger["dead"], ledger["torn"], ledger["foreign"]) == (True, [], 0, 0)
    assert {group["drained_at"] for group in ledger["groups"].values()} == {PRIMARY}
    assert ledger["acknowledged"] == ledger["acknowledged_at"][PRIMARY] > 1500
    assert ledger["write_outage_seconds"] < 2
    # Some transactions were aborted; no group has seen anything of them.
    assert ledger["unacknowledged"]["aborted"]["records"] > 0
    assert ledger["unacknowledged"]["aborted"]["processed"] == 0
    assert set(workload.processes().values()) == {"ended"}
    # A second stop changes nothing.
    assert workload.stop() == ((), {})
    assert workload.report() == ledger


def test_a_killed_process_is_told_and_one_that_is_started_again_continues(box: Sandbox, workload: Workload) -> None:
    writes_for(workload, 600)
    box.processes.kill(["workload-consumers-1"])
    killed = workload.report()
    assert killed["dead"] == ["workload-consumers-1"]
    shown = drkit("sandbox", "status", "--dir", str(box.root))
    assert "consumers-1 dead without a word" in shown.stdout
    report = drkit("sandbox", "workload", "report", "--dir", str(box.root))
    assert "DEAD" in report.stdout

    box.processes.kill(["workload-producers-0"])
    for spec in workload.process_specs():
        if spec.name in ("workload-consumers-1", "workload-producers-0"):
            box.processes.start(spec)
    writes_for(workload, 600)
    assert workload.dead() == {}
    stopped = workload.stop()
    ledger = workload.report()
    assert stopped == ((), {}), ledger["groups"]
    # Its ledgers were continued: nothing is missing, and no id was used twice.
    assert (faults(ledger), ledger["drained"]) == ((0, 0, 0), True)


def test_a_process_that_stays_dead_is_told_by_stop(box: Sandbox, workload: Workload) -> None:
    writes_for(workload, 300)
    box.processes.kill(["workload-consumers-0"])
    stopped = drkit("sandbox", "workload", "stop", "--dir", str(box.root), "--drain-seconds", "3")
    assert stopped.code == ExitCode.VERIFICATION, stopped.said
    assert "workload-consumers-0: dead without a word" in stopped.stderr
    assert "groups that did not read to the end" in stopped.stderr
    ledger = workload.report()
    assert (ledger["dead"], ledger["drained"]) == (["workload-consumers-0"], False)
    assert ledger["pending"] > 0
    assert ledger["lost"] == 0
