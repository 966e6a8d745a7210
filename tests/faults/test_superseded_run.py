"""The primary dies in a planned failover, on real brokers under load: the same command goes on without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drkit.errors import ExitCode
from drkit.sandbox import Fault, Sandbox
from drkit.sandbox.workload.control import Workload
from tests.conftest import protected_sandbox
from tests.e2e.command import drkit
from tests.e2e.freezing import Freezing
from tests.e2e.world import PRIMARY, STANDBY
from tests.integration.watching import looks, watching
from tests.waiting import eventually

pytestmark = [pytest.mark.sandbox, pytest.mark.long, pytest.mark.timeout(420)]

JSON = ("--output", "json")
UNKNOWN = ("--accept-loss", "unknown", "--accept-replay", "unknown")
MOVE = ("failover", "--to", STANDBY, "--yes", "--if-source-dies", "disaster", *UNKNOWN, *JSON)


@pytest.fixture(name="box")
def _box(tmp_path: Path) -> Iterator[Sandbox]:
    with protected_sandbox(tmp_path / "sandbox") as box:
        yield box


def test_what_the_planned_run_had_drained_and_read_behind_its_fence_is_not_lost_with_the_primary(
    box: Sandbox, tmp_path: Path
) -> None:
    workload, log = Workload(box), tmp_path / "looks.jsonl"
    workload.start(rate=500, groups=6)
    eventually(lambda: workload.report()["acknowledged"] > 2000, timeout_seconds=60, because="it writes", every=1)
    # A broker that does not answer is waited for again and again; the living one is busy with its mirror.
    box.config.write_text(box.config.read_text() + "\ntimeouts:\n  request_seconds: 6\n")
    with watching(box.config, log):
        run = Freezing(*MOVE, config=box.config, at="cut:before-intent")
        assert run.is_frozen(), run.thawed().said
        seen = len(looks(log))
        # One may have begun before the fence.
        eventually(lambda: len(looks(log)) > seen + 1, timeout_seconds=30, because="the watch sees what is fenced")
        box.fault(Fault.KILL, PRIMARY, "broker")
    moved = run.thawed()
    assert moved.code in (ExitCode.DONE, ExitCode.VERIFICATION), moved.said
    report = moved.document
    second, first = drkit("runs", "list", *JSON, config=box.config).document["runs"]
    assert (report["run_id"], report["mode"]) == (second["run_id"], "disaster")
    assert (report["supersedes"], first["outcome"]) == (first["run_id"], "superseded")
    assert report["offsets"]["partitions"] == report["offsets"]["exact"] > 0, report["offsets"]

    workload.stop(drain_seconds=60)
    ledger = workload.report()
    assert ledger["acknowledged_at"].keys() == {PRIMARY, STANDBY}
    assert (ledger["lost"], ledger["replayed"], ledger["out_of_order"]) == (0, 0, 0), ledger["offenders"]
