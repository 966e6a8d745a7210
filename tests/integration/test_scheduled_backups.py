"""Scheduled backups on real brokers: positions and backups come by themselves, and a region that is gone is told."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from drkit.errors import ExitCode
from drkit.sandbox import Fault, Sandbox
from tests.e2e.command import drkit
from tests.e2e.world import PRIMARY, STANDBY
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(300)]

_ADDRESS = re.compile(r"health at (http://127\.0\.0\.1:[0-9]+)/healthz")


class Serving:
    """``drkit backup serve`` beside the test; each run is a line of its output."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        self.process = process
        self._directory = directory

    @property
    def said(self) -> str:
        return (self._directory / "stderr").read_text()

    @property
    def runs(self) -> list[dict[str, Any]]:
        lines = (self._directory / "stdout").read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def of(self, job: str, outcome: str) -> list[dict[str, Any]]:
        return [run for run in self.runs if (run["job"], run["outcome"]) == (job, outcome)]

    def ask(self, path: str) -> tuple[int, str]:
        found = _ADDRESS.search(self.said)
        assert found is not None, self.said
        try:
            with urllib.request.urlopen(found[1] + path, timeout=PATIENCE_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@contextmanager
def serving(config: Path, directory: Path, *options: str) -> Iterator[Serving]:
    # A broker that does not answer is waited for again and again.
    short = directory / "drkit.yaml"
    short.write_text(config.read_text() + "\ntimeouts:\n  request_seconds: 4\n")
    command = [sys.executable, "-m", "drkit", "--config", str(short), "backup", "serve", "--listen", "127.0.0.1:0"]
    with (
        (directory / "stdout").open("wb") as out,
        (directory / "stderr").open("wb") as err,
        subprocess.Popen([*command, *options, "--output", "json"], stdout=out, stderr=err) as process,
    ):
        try:
            yield Serving(process, directory)
        finally:
            process.kill()


def metrics(text: str) -> dict[tuple[str, str, str], float]:
    """Name, and the two labels that say what it is of."""
    return {
        (sample.name, sample.labels.get("kind") or sample.labels.get("job", ""), sample.labels.get("region", "")): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_backups_come_by_themselves_and_a_region_that_is_gone_is_told(
    sandbox: Sandbox, sandbox_config: Path, tmp_path: Path
) -> None:
    options = ("--every", "2s:groups,5s:all", "--jitter", "0%", "--grace", "12s")
    with serving(sandbox_config, tmp_path, *options) as service:
        eventually(
            lambda: len(service.of("groups", "succeeded")) > 1 and len(service.of("all", "succeeded")) > 1,
            timeout_seconds=120,
            because=f"both jobs come round: {service.said}",
        )
        status, health = service.ask("/healthz")
        assert (status, json.loads(health)["healthy"]) == (200, True), health
        status, text = service.ask("/metrics")
        assert status == 200
        found = metrics(text)
        for kind in ("topics", "acls", "users", "groups", "logs"):
            for region in (PRIMARY, STANDBY):
                assert found["drkit_backup_age_seconds", kind, region] < 60
        assert found["drkit_backup_age_seconds", "positions", PRIMARY] < 60
        assert found["drkit_backup_rows", "topics", PRIMARY] > 0
        assert found["drkit_backup_successes_total", "all", ""] > 1

        sandbox.fault(Fault.FREEZE, PRIMARY, "broker")
        try:
            eventually(
                lambda: service.ask("/healthz")[0] == 503, timeout_seconds=90, because="the newest backup grows old"
            )
            problems = json.loads(service.ask("/healthz")[1])["problems"]
            assert {problem.partition(":")[0] for problem in problems} <= {"groups", "all"}
            assert service.ask("/livez")[0] == 200, "nothing that a restart would mend"
            assert service.of("groups", "failed")
        finally:
            sandbox.fault(Fault.THAW, PRIMARY, "broker")
        eventually(lambda: service.ask("/healthz")[0] == 200, timeout_seconds=90, because="it is back, and so are they")

        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(timeout=60) == ExitCode.DONE, service.said
    listed = drkit("backup", "list", "--output", "json", config=sandbox_config).document
    whole = [one for one in listed["backups"] if one["complete"]]
    assert {one["region"] for one in whole} == {PRIMARY, STANDBY}
    assert len(whole) >= 4
    verified = drkit("backup", "verify", "--read-all", "--output", "json", config=sandbox_config)
    assert verified.code == ExitCode.DONE, verified.said


def test_a_service_that_begins_knows_how_old_the_newest_backup_is(sandbox_config: Path, tmp_path: Path) -> None:
    made = drkit("backup", "run", "--all", "--output", "json", config=sandbox_config)
    assert made.code == ExitCode.DONE, made.said
    with serving(sandbox_config, tmp_path, "--every", "1h:all") as service:
        eventually(lambda: _ADDRESS.search(service.said), timeout_seconds=60, because="it listens")
        eventually(
            lambda: json.loads(service.ask("/healthz")[1])["jobs"][0]["age_seconds"] is not None,
            timeout_seconds=60,
            because="it has read the newest manifests",
        )
        (job,) = json.loads(service.ask("/healthz")[1])["jobs"]
        assert 0 < job["age_seconds"] < 120
        service.process.send_signal(signal.SIGINT)
        assert service.process.wait(timeout=60) == ExitCode.DONE, service.said
        assert service.runs == [], "that one is young enough"
