"""A planned failover under load loses what it depends on, one after the other, in the middle of the run.

Each time it says what went away and what to type; put right and resumed, it ends as if nothing had been.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

import psutil
import pytest
import yaml

from drkit.errors import ExitCode
from drkit.sandbox import Fault, Sandbox
from drkit.sandbox.workload.control import Workload
from tests.conftest import protected_sandbox
from tests.e2e.command import Answer, drkit, start
from tests.e2e.world import PRIMARY, STANDBY
from tests.fakes.http_server import Request, Responder, ScriptedHttpServer, aws_error, forward, http_server
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(420)]

JSON = ("--output", "json")
MOVE = ("failover", "--to", STANDBY, "--yes", "--keep", *JSON)
RESUME = ("resume", "--yes", *JSON)
THROTTLED = aws_error(400, "Throttling", "Rate exceeded")
DOWN = aws_error(503, "ServiceUnavailable", "later")


@pytest.fixture(name="box")
def _box(tmp_path: Path) -> Iterator[Sandbox]:
    with protected_sandbox(tmp_path / "sandbox") as box:
        yield box


@pytest.fixture(name="route53")
def _route53(box: Sandbox) -> Iterator[ScriptedHttpServer]:
    """Between drkit and AWS, where changes of records can get another answer."""
    with http_server(forward(box.status().aws_endpoint_url)) as between:
        document = yaml.safe_load(box.config.read_text())
        document["aws"]["endpoint_url"] = between.url
        box.config.write_text(yaml.safe_dump(document))
        yield between


@contextmanager
def changes_get(route53: ScriptedHttpServer, responder: Responder, *, times: int = 10**6) -> Iterator[None]:
    """So many changes of records get this answer; everything else goes on."""
    whole, left = route53.default, [times]

    def answer(request: Request, connection: socket) -> None:
        if request.method == "POST" and request.target.endswith("/rrset/"):
            left[0] -= 1
            if left[0] >= 0:
                responder(request, connection)
                return
        whole(request, connection)

    route53.default = answer
    try:
        yield
    finally:
        route53.default = whole


def goes_on_without(box: Sandbox, *command: str, frozen_at: str, lost: tuple[str, str]) -> Answer:
    """Run it, and while it is frozen there, kill a process that it depends on."""
    process = start(*command, config=box.config, DRKIT_FAILPOINT=frozen_at, DRKIT_FAILPOINT_SIGNAL="STOP")
    try:
        seen = psutil.Process(process.pid)
        eventually(
            lambda: process.poll() is not None or seen.status() == psutil.STATUS_STOPPED,
            timeout_seconds=PATIENCE_SECONDS,
            because=f"it freezes at {frozen_at}",
        )
        if process.poll() is None:
            box.fault(Fault.KILL, *lost)
            process.send_signal(signal.SIGCONT)
        stdout, stderr = process.communicate(timeout=120)
        return Answer(process.returncode, stdout, stderr)
    finally:
        process.kill()


def stopped(answer: Answer, *words: str) -> None:
    """It has stopped part-way, says these words and the command that goes on, and has no traceback."""
    assert answer.code == ExitCode.STOPPED, answer.said
    for word in (*words, "drkit resume"):
        assert word in answer.stderr, answer.said
    assert "Traceback" not in answer.stderr


def test_whatever_it_loses_on_its_way_nothing_is_lost_or_read_twice(box: Sandbox, route53: ScriptedHttpServer) -> None:
    workload = Workload(box)
    workload.start(rate=300, groups=6)
    eventually(lambda: workload.report()["acknowledged"] > 2000, timeout_seconds=60, because="it writes", every=1)

    without_connect = goes_on_without(box, *MOVE, frozen_at="fence-producers:after-evidence", lost=(STANDBY, "mirror"))
    stopped(without_connect, "Kafka Connect at", "does not answer")
    box.fault(Fault.START, STANDBY, "mirror")

    without_target = goes_on_without(box, *RESUME, frozen_at="fence-consumers:after-evidence", lost=(STANDBY, "broker"))
    stopped(without_target, STANDBY)
    box.fault(Fault.START, STANDBY, "all")

    with changes_get(route53, DOWN):
        without_dns = drkit(*RESUME, config=box.config)
        stopped(without_dns, "stopped at redirect", "AWS answered with an error of its own")
    with changes_get(route53, THROTTLED, times=8):
        done = drkit(*RESUME, config=box.config)
    assert done.code == ExitCode.DONE, done.said
    assert done.document["outcome"] == "succeeded"
    assert done.document["records_lost"] == {"known": 0, "unknown": False}
    assert done.document["offsets"]["partitions"] == done.document["offsets"]["exact"] > 0

    workload.stop(drain_seconds=60)
    ledger = workload.report()
    assert ledger["acknowledged_at"].keys() == {PRIMARY, STANDBY}
    assert (ledger["lost"], ledger["replayed"], ledger["out_of_order"]) == (0, 0, 0), ledger["offenders"]
