"""A planned failover under load loses what it depends on, one after the other, in the middle of the run.

Each time it says what went away and what to type; put right and resumed, it ends as if nothing had been.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

import pytest
import yaml

from drkit.errors import ExitCode
from drkit.sandbox import Fault, Sandbox
from drkit.sandbox.workload.control import Workload
from tests.conftest import protected_sandbox
from tests.e2e.command import Answer, drkit
from tests.e2e.freezing import Freezing
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


def settled(box: Sandbox, *command: str, at: str | None = None) -> Freezing:
    """Run it until it freezes or ends, as an operator does: again, while a mirror that has just begun runs nothing."""
    deadline = time.monotonic() + 180
    while True:
        run = Freezing(*command, config=box.config, at=at)
        if run.is_frozen() or "the target cannot take over" not in run.thawed().stderr:
            return run
        stopped(run.thawed(), "stopped at check-health")
        assert time.monotonic() < deadline, run.thawed().said


@contextmanager
def frozen(box: Sandbox, *command: str, at: str) -> Iterator[Freezing]:
    """Run it, and have it freeze itself there."""
    run = settled(box, *command, at=at)
    try:
        yield run
    except BaseException:
        run.kill()
        raise


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
    stopped(run.thawed(), "stopped at drain-mirror", "still has records to carry over", "drkit mm2 status")
    box.fault(Fault.THAW, STANDBY, "mirror")

    with frozen(box, *RESUME, at="cut:after-evidence") as run:
        box.fault(Fault.KILL, STANDBY, "broker")
    stopped(run.thawed(), STANDBY, "is the cluster up, and reachable from here?")
    box.fault(Fault.START, STANDBY, "all")

    with changes_get(route53, DOWN):
        stopped(settled(box, *RESUME).thawed(), "stopped at redirect", "AWS answered with an error of its own")
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
