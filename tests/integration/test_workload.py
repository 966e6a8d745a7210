"""The workload on real brokers: a clean run, parts that die, brokers that die."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drkit.cli.sandbox import after_up
from drkit.errors import ExitCode, RefusedError
from drkit.sandbox import Fault, Sandbox
from drkit.sandbox.aws_client import aws_client
from drkit.sandbox.layout import PRIMARY, STANDBY
from drkit.sandbox.provisioning import BOOTSTRAP_NAME, ZONE
from drkit.sandbox.workload.control import Workload
from tests.conftest import free_subnet
from tests.e2e.command import drkit
from tests.waiting import eventually

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(240)]

STOP_SECONDS = 20
FOLLOW_SECONDS = 4
"""Two or three seconds after the change of the name, and a report or two."""


@pytest.fixture(name="box", scope="module")
def _box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox of this module's own: its brokers are killed."""
    box = Sandbox(tmp_path_factory.mktemp("workload") / "sandbox", free_subnet())
    try:
        box.up()
        after_up(box.config)
        yield box
    finally:
        box.down()
        assert box.processes.find() == {}


@pytest.fixture(name="workload")
def _workload(box: Sandbox) -> Iterator[Workload]:
    """A workload that has begun. Afterwards it is ended, the brokers live, and DNS names the primary."""
    workload = Workload(box)
    workload.start(rate=300, groups=6)
    yield workload
    box.fault(Fault.START, PRIMARY, "broker")
    point_at(box, PRIMARY)
    workload.stop(drain_seconds=0)


def point_at(box: Sandbox, region: str) -> None:
    """Change the service's name, as a redirect does."""
    layout = box.status().layout
    value = layout.record_value(region)
    route53 = aws_client("route53", layout.aws_url)
    zone = next(zone for zone in route53.list_hosted_zones()["HostedZones"] if zone["Name"] == ZONE)
    route53.change_resource_record_sets(
        HostedZoneId=zone["Id"],
        ChangeBatch={
            "Changes": [
                {
                    "Action": "UPSERT",
                    "ResourceRecordSet": {
                        "Name": f"{BOOTSTRAP_NAME}.",
                        "Type": layout.record_type,
                        "TTL": 1,
                        "ResourceRecords": [{"Value": f'"{value}"' if layout.record_type == "TXT" else value}],
                    },
                }
            ]
        },
    )


def seconds_of(action: Callable[[], object]) -> float:
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


def writes_for(workload: Workload, records: int) -> None:
    before = workload.acknowledged_records()
    eventually(
        lambda: workload.acknowledged_records() > before + records, timeout_seconds=40, because="the workload writes"
    )


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
    stopped = drkit("sandbox", "workload", "stop", "--dir", str(box.root), "--drain-seconds", "8")
    assert stopped.code == ExitCode.VERIFICATION, stopped.said
    assert "workload-consumers-0: dead without a word" in stopped.stderr
    assert "groups that did not read to the end" in stopped.stderr
    ledger = workload.report()
    assert (ledger["dead"], ledger["drained"]) == (["workload-consumers-0"], False)
    assert ledger["pending"] > 0
    assert ledger["lost"] == 0


def test_clients_leave_a_dead_broker_for_where_the_name_points(box: Sandbox, workload: Workload) -> None:
    writes_for(workload, 600)
    box.fault(Fault.KILL, PRIMARY, "broker")
    # The standby is fenced for applications: nobody can write there before drkit has opened it.
    opened = drkit("fence", "lift", STANDBY, config=box.config)
    assert opened.code == ExitCode.DONE, opened.said
    point_at(box, STANDBY)
    eventually(
        lambda: STANDBY in workload.report()["acknowledged_at"], timeout_seconds=FOLLOW_SECONDS, because="writers move"
    )
    eventually(
        lambda: all(STANDBY in line for line in last_clients(box.root, 6)),
        timeout_seconds=FOLLOW_SECONDS,
        because="groups move",
    )
    assert workload.dead() == {}


def last_clients(root: Path, groups: int) -> list[str]:
    """The newest client of each group, as the logs tell."""
    newest: dict[str, str] = {}
    for log in (root / "logs").glob("workload-consumers-*.log"):
        for line in log.read_text().splitlines():
            if ": client on " in line:
                newest[line.split()[1]] = line
    assert len(newest) == groups
    return list(newest.values())


def test_a_stop_ends_soon_where_the_service_is_dead(box: Sandbox, workload: Workload) -> None:
    writes_for(workload, 300)
    box.fault(Fault.KILL, PRIMARY, "broker")
    assert seconds_of(workload.stop) < STOP_SECONDS
    ledger = workload.report()
    assert (ledger["phase"], ledger["drained"], ledger["lost"]) == ("stopped", False, 0)
    assert workload.dead() == {}
