"""The watch on real brokers, under load: with the source killed, every position is known and exact."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from drkit.errors import ExitCode
from drkit.sandbox import Fault, Sandbox
from drkit.sandbox.workload.control import Workload
from tests.conftest import protected_sandbox
from tests.e2e.command import drkit
from tests.e2e.world import PRIMARY, STANDBY
from tests.waiting import eventually

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(300)]

_MOVE = ("--from", PRIMARY, "--to", STANDBY, "--output", "json")


@pytest.fixture(name="box")
def _box(tmp_path: Path) -> Iterator[Sandbox]:
    with protected_sandbox(tmp_path / "sandbox", 216) as box:
        yield box


@contextmanager
def _watching(box: Sandbox, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    options = ("--config", str(box.config), "offsets", "watch", "--every", "1", "--output", "json")
    command = [sys.executable, "-m", "drkit", *options]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out) as process:
        try:
            yield process
        finally:
            process.kill()


def _looks(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]


def test_with_the_source_dead_every_watched_position_is_exact(box: Sandbox, tmp_path: Path) -> None:
    workload, log = Workload(box), tmp_path / "looks.jsonl"
    workload.start(rate=300, groups=6)
    eventually(
        lambda: workload.report()["acknowledged"] > 2000, timeout_seconds=60, because="the workload writes", every=1
    )
    with _watching(box, log) as watch:
        eventually(lambda: len(_looks(log)) > 4, timeout_seconds=60, because="the watch looks every second")
        alive = drkit("offsets", "forecast", "--measure", "1", *_MOVE, config=box.config)
        assert alive.code == ExitCode.DONE, alive.said
        box.fault(Fault.KILL, PRIMARY, "broker")
        eventually(
            lambda: _looks(log)[-1]["problems"], timeout_seconds=60, because="the watch tells that the source is gone"
        )
        dead = drkit("offsets", "forecast", *_MOVE, config=box.config)
        assert dead.code == ExitCode.DONE, dead.said
        watch.send_signal(signal.SIGTERM)
        assert watch.wait(timeout=60) == 0

    looks = [look for look in _looks(log) if not look["problems"]]
    assert all(look["positions"] == 72 for look in looks[1:]), "six groups on twelve partitions"
    assert looks[0]["archived_syncs"] > 0
    now, then = alive.document, dead.document
    assert (now["source_answers"], then["source_answers"]) == (True, False)
    for found in (now, then):
        assert found["totals"]["exact"] == found["totals"]["partitions"] == 72, found["totals"]
        assert found["totals"]["replay"] == {"records": 0, "certainty": "exact"}
        assert found["evidence"]["no_sync_missing"]
        # Half of the groups lag, and MirrorMaker 2's own translation is as far off as they lag.
        assert found["totals"]["mm2_replay"]["records"] > 0
    assert sum(group["rate_records_per_second"] for group in now["groups"]) > 0
    # From the last look before the kill to the forecast: what it took to be sure that the broker does not answer.
    assert then["evidence"]["age_seconds"] < 60
