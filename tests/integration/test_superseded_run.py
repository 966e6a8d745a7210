"""The primary dies in the middle of a planned failover, on real brokers under load: a disaster move takes its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drkit.errors import ExitCode
from drkit.sandbox import Fault, Sandbox
from drkit.sandbox.workload.control import Workload
from tests.conftest import protected_sandbox
from tests.e2e.command import drkit
from tests.e2e.world import PRIMARY, STANDBY
from tests.integration.watching import looks, watching
from tests.waiting import eventually

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(420)]

JSON = ("--output", "json")
MOVE = ("failover", "--to", STANDBY, "--yes", *JSON)
UNKNOWN = ("--accept-loss", "unknown", "--accept-replay", "unknown")


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
    with watching(box, log):
        killed = drkit(*MOVE, config=box.config, DRKIT_FAILPOINT="cut:before-intent")
        assert killed.code == -9, killed.said
        seen = len(looks(log))
        # One may have begun before the fence.
        eventually(lambda: len(looks(log)) > seen + 1, timeout_seconds=30, because="the watch sees what is fenced")
        box.fault(Fault.KILL, PRIMARY, "broker")
    first = drkit("runs", "list", *JSON, config=box.config).document["runs"][0]["run_id"]
    # A broker that does not answer is waited for again and again; the living one is busy with its mirror.
    box.config.write_text(box.config.read_text() + "\ntimeouts:\n  request_seconds: 6\n")

    refused = drkit(*MOVE, *UNKNOWN, config=box.config)
    assert refused.code == ExitCode.REFUSED, refused.said
    assert "--supersede" in refused.stderr
    moved = drkit(*MOVE, *UNKNOWN, "--mode", "disaster", "--supersede", config=box.config)
    assert moved.code in (ExitCode.DONE, ExitCode.VERIFICATION), moved.said
    report = moved.document
    assert (report["mode"], report["supersedes"]) == ("disaster", first)
    assert report["offsets"]["partitions"] == report["offsets"]["exact"] > 0, report["offsets"]
    assert drkit("runs", "show", first, *JSON, config=box.config).document["outcome"] == "superseded"

    workload.stop(drain_seconds=60)
    ledger = workload.report()
    assert ledger["acknowledged_at"].keys() == {PRIMARY, STANDBY}
    assert (ledger["lost"], ledger["replayed"], ledger["out_of_order"]) == (0, 0, 0), ledger["offenders"]
