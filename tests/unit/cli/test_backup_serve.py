"""``drkit backup serve`` as a process, where nothing answers: it tells so, goes on, and ends when it is told to."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drkit.errors import ExitCode
from tests.unit.config.sample import VALID, write
from tests.waiting import PATIENCE_SECONDS, eventually


class Process:
    """The service, and what it says."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.out, self.err = directory / "out", directory / "err"
        document: dict[str, Any] = json.loads(json.dumps(VALID))
        document["timeouts"] = {"request_seconds": 0.5, "lease_seconds": 10.0}
        document["aws"] = {"endpoint_url": "http://127.0.0.1:9"}
        config = write(directory, document)
        command = [sys.executable, "-m", "drkit", "--config", str(config), "backup", "serve"]
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [*command, "--listen", "127.0.0.1:0", "--jitter", "0%", "--grace", "1s", *options],
                stdout=out,
                stderr=err,
            )

    def ask(self, path: str) -> tuple[int, str]:
        found = re.search(r"health at (\S+)/healthz", self.err.read_text())
        if found is None:
            return 0, ""
        try:
            with urllib.request.urlopen(found[1] + path, timeout=PATIENCE_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture(autouse=True)
def _secret(no_aws_identity: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRKIT_PASSWORD", "secret-of-drkit")


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Any]:
    begun: list[Process] = []

    def one(*options: str) -> Process:
        begun.append(Process(tmp_path, *options))
        return begun[-1]

    yield one
    for service in begun:
        service.process.kill()
        service.process.wait()


def test_it_tells_what_fails_and_ends_when_it_is_told_to(begin: Any) -> None:
    service = begin("--every", "1s:groups", "--output", "json")
    eventually(
        lambda: service.ask("/healthz")[0] == 503 and service.out.read_text().count("\n") > 1,
        timeout_seconds=PATIENCE_SECONDS,
        because="nothing answers",
    )
    (problem,) = json.loads(service.ask("/healthz")[1])["problems"]
    assert problem.startswith("groups: no good backup yet, since ")
    assert 'drkit_backup_failures_total{job="groups",reason="unreachable"}' in service.ask("/metrics")[1]
    assert service.ask("/livez")[0] == 200
    service.process.terminate()
    assert service.process.wait(PATIENCE_SECONDS) == ExitCode.DONE, service.err.read_text()
    runs = [json.loads(line) for line in service.out.read_text().splitlines()]
    assert {(run["schema"], run["outcome"], run["reason"]) for run in runs} == {
        ("drkit.backup-serve/1", "failed", "unreachable")
    }
    assert "Traceback" not in service.err.read_text()
    assert "secret-of-drkit" not in service.out.read_text() + service.err.read_text()


def test_for_people_what_fails_is_told_once_and_on_stderr(begin: Any) -> None:
    service = begin("--every", "1s:all")
    eventually(lambda: service.ask("/metrics")[0] == 200, timeout_seconds=PATIENCE_SECONDS, because="it listens")
    failures = re.compile(r'drkit_backup_failures_total\{job="all",reason="unreachable"\} ([3-9])')
    eventually(
        lambda: failures.search(service.ask("/metrics")[1]), timeout_seconds=PATIENCE_SECONDS, because="it goes on"
    )
    service.process.send_signal(signal.SIGINT)
    assert service.process.wait(PATIENCE_SECONDS) == ExitCode.DONE
    assert service.out.read_text() == ""
    assert len(re.findall(r"all failed in", service.err.read_text())) < 3
