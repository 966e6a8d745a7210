"""A planned failover under load on real brokers: killed after the fence, resumed, and judged by the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from drkit.errors import ExitCode
from drkit.sandbox import Sandbox
from drkit.sandbox.workload.control import Workload
from tests.conftest import protected_sandbox
from tests.e2e.command import drkit
from tests.e2e.world import PRIMARY, STANDBY
from tests.waiting import eventually

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(420)]


@pytest.fixture(name="box")
def _box(tmp_path: Path) -> Iterator[Sandbox]:
    with protected_sandbox(tmp_path / "sandbox", 160) as box:
        yield box


def test_a_run_that_is_killed_is_resumed_and_nothing_is_lost_or_replayed(box: Sandbox) -> None:
    workload = Workload(box)
    workload.start(rate=500, groups=6)
    eventually(
        lambda: workload.report()["acknowledged"] > 4000, timeout_seconds=60, because="the workload writes", every=1
    )
    move = ("failover", "--to", STANDBY, "--yes", "--output", "json")

    killed = drkit(*move, config=box.config, DRKIT_FAILPOINT="translate-offsets:after-apply")
    assert killed.code == -9, killed.said
    listed = drkit("runs", "list", "--output", "json", config=box.config).document["runs"]
    assert [run["outcome"] for run in listed] == ["running"]
    refused = drkit(*move, config=box.config)
    assert refused.code == ExitCode.REFUSED, refused.said
    assert f"drkit resume {listed[0]['run_id']}" in refused.stderr

    resumed = drkit("resume", "--yes", "--output", "json", config=box.config)
    assert resumed.code == ExitCode.DONE, resumed.said
    report = json.loads(resumed.stdout)
    assert report["outcome"] == "succeeded"
    assert report["records_lost"] == {"known": 0, "unknown": False}
    assert report["offsets"]["partitions"] == report["offsets"]["exact"] > 0

    workload.stop(drain_seconds=60)
    ledger = workload.report()
    assert ledger["acknowledged_at"].keys() == {PRIMARY, STANDBY}
    assert (ledger["lost"], ledger["replayed"], ledger["out_of_order"]) == (0, 0, 0), ledger["offenders"]

    again = drkit(*move, config=box.config)
    assert again.code == ExitCode.REFUSED, again.said
    assert "already primary" in again.stderr
