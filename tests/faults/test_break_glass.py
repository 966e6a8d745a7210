"""The state bucket is gone, on real brokers under load: a move with its state in a directory, and the way back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from drkit.errors import ExitCode
from drkit.sandbox import Sandbox
from drkit.sandbox.workload.control import Workload
from tests.conftest import protected_sandbox
from tests.e2e.command import drkit
from tests.e2e.world import PRIMARY, STANDBY
from tests.waiting import eventually

pytestmark = [pytest.mark.sandbox, pytest.mark.long, pytest.mark.timeout(420)]

JSON = ("--output", "json")


@pytest.fixture(name="box")
def _box(tmp_path: Path) -> Iterator[Sandbox]:
    with protected_sandbox(tmp_path / "sandbox") as box:
        yield box


def _without_bucket(config: Path) -> Path:
    """The same service, and a bucket that does not exist: what the record of the standby's fence is in is not seen."""
    document = yaml.safe_load(config.read_text())
    document["state"]["bucket"] = "gone"
    dark = config.with_name("dark.yaml")
    dark.write_text(yaml.safe_dump(document))
    return dark


def test_the_service_moves_without_its_bucket_and_the_bucket_hears_of_it(box: Sandbox, tmp_path: Path) -> None:
    workload = Workload(box)
    workload.start(rate=300, groups=4)
    eventually(lambda: workload.report()["acknowledged"] > 2000, timeout_seconds=60, because="it writes", every=1)
    dark, state = _without_bucket(box.config), f"local:{tmp_path / 'state'}"
    move = ("failover", "--to", STANDBY, "--yes", *JSON)

    assert drkit(*move, config=dark).code == ExitCode.REFUSED
    unnamed = drkit("--state", state, *move, config=dark)
    assert unnamed.code == ExitCode.REFUSED, unnamed.said
    assert "nobody knows which region is primary" in unnamed.stderr
    beside = drkit("--state", state, "--primary", PRIMARY, *move, config=box.config)
    assert beside.code == ExitCode.REFUSED, beside.said
    assert "the state bucket answers" in beside.stderr

    moved = drkit("--state", state, *move, config=dark)
    assert moved.code == ExitCode.DONE, moved.said
    report = json.loads(moved.stdout)
    assert (report["outcome"], report["state"]) == ("succeeded", state)
    assert moved.stderr.startswith(f"warning: break-glass: the state is kept in {state}")
    assert drkit("--state", state, "status", *JSON, config=dark).document["primary"] == STANDBY

    uploaded = drkit("--state", state, "runs", "upload", *JSON, config=box.config)
    assert uploaded.code == ExitCode.DONE, uploaded.said
    assert uploaded.document["primary"] == STANDBY
    status = drkit("status", *JSON, config=box.config).document
    assert (status["primary"], status["last_run"]["run_id"]) == (STANDBY, report["run_id"])
    assert drkit("fence", "status", PRIMARY, *JSON, config=box.config).document["fenced"] is True

    workload.stop(drain_seconds=60)
    ledger = workload.report()
    assert (ledger["lost"], ledger["replayed"], ledger["out_of_order"]) == (0, 0, 0), ledger["offenders"]
