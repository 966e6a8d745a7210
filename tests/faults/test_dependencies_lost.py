"""A planned failover under load loses what it depends on, one after the other, in the middle of the run.

Each time it says what went away and what to type; put right and resumed, it ends as if nothing had been.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from subprocess import Popen

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

pytestmark = [pytest.mark.sandbox, pytest.mark.long, pytest.mark.timeout(420)]

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
        document["timeouts"] = {"drain_seconds": 10, "request_seconds": 6}
        # What is waited for here is no figure of a failover's.
        document["objectives"]["rto_seconds"] = 3600
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


def settles(box: Sandbox, *command: str, **environment: str) -> Popen[str]:
    """Run it until it ends or freezes, as an operator does: again, while a mirror that has just begun runs nothing."""
    deadline = time.monotonic() + 180
    while True:
        process = start(*command, config=box.config, **environment)
        while process.poll() is None and psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
            assert time.monotonic() < deadline, "it neither ends nor freezes"
            time.sleep(0.1)
        if process.poll() is None or "the target cannot take over" not in (said := ended(process)).stderr:
            return process
        stopped(said, "stopped at check-health")
        assert time.monotonic() < deadline, said.said


@contextmanager
def frozen(box: Sandbox, *command: str, at: str) -> Iterator[Popen[str]]:
    """Run it, and have it freeze itself there; afterwards it goes on."""
    process = settles(box, *command, DRKIT_FAILPOINT=at, DRKIT_FAILPOINT_SIGNAL="STOP")
    try:
        assert process.poll() is None, ended(process).said
        yield process
        process.send_signal(signal.SIGCONT)
    except BaseException:
        process.kill()
        raise


def ended(process: Popen[str]) -> Answer:
    """What it said."""
    stdout, stderr = process.communicate(timeout=120)
    return Answer(process.returncode, stdout, stderr)


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

    with frozen(box, *MOVE, at="fence-producers:after-intent") as run:
        box.fault(Fault.FREEZE, STANDBY, "mirror")
        written = workload.report()["acknowledged"]
        eventually(
            lambda: workload.report()["acknowledged"] > written + 300,
            timeout_seconds=PATIENCE_SECONDS,
            because="applications write what is not mirrored",
        )
    stopped(ended(run), "stopped at drain-mirror", "still has records to carry over", "drkit mm2 status")
    box.fault(Fault.THAW, STANDBY, "mirror")

    with frozen(box, *RESUME, at="cut:after-evidence") as run:
        box.fault(Fault.KILL, STANDBY, "broker")
    stopped(ended(run), STANDBY, "is the cluster up, and reachable from here?")
    box.fault(Fault.START, STANDBY, "all")

    with changes_get(route53, DOWN):
        stopped(ended(settles(box, *RESUME)), "stopped at redirect", "AWS answered with an error of its own")
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
