"""A planned failover under load loses everything that it depends on: its state bucket, then one thing after the other.

Each time it says what went away and what to type; put right and resumed, it ends as if nothing had been. What stood in
for the bucket is brought there in the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

import pytest
import yaml

from drkit.errors import ExitCode
from drkit.sandbox import Fault, Sandbox
from drkit.sandbox.workload.control import Workload
from tests.conftest import protected_sandbox
from tests.e2e.command import Answer, drkit, refused
from tests.e2e.freezing import Freezing
from tests.e2e.world import PRIMARY, STANDBY
from tests.fakes.http_server import Request, Responder, ScriptedHttpServer, aws_error, forward, http_server, reply
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = [pytest.mark.sandbox, pytest.mark.long, pytest.mark.timeout(600)]

JSON = ("--output", "json")
MOVE = ("failover", "--to", STANDBY, "--yes", "--keep", *JSON)
RESUME = ("resume", "--yes", *JSON)
THROTTLED = aws_error(400, "Throttling", "Rate exceeded")
PENDING = reply(
    200,
    '<GetChangeResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeInfo><Id>/change/C1</Id>'
    "<Status>PENDING</Status><SubmittedAt>2026-01-01T00:00:00Z</SubmittedAt></ChangeInfo></GetChangeResponse>",
)
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


def is_change(request: Request) -> bool:
    """Somebody changes records."""
    return request.method == "POST" and request.target.endswith("/rrset/")


def is_question(request: Request) -> bool:
    """Somebody asks what became of a change."""
    return request.method == "GET" and "/change/" in request.target


@contextmanager
def answered(
    route53: ScriptedHttpServer, concerns: Callable[[Request], bool], responder: Responder, *, times: int = 10**6
) -> Iterator[None]:
    """So many of these requests get this answer, and at least one is made; everything else goes on."""
    whole, made = route53.default, 0

    def answer(request: Request, connection: socket) -> None:
        nonlocal made
        if concerns(request) and made < times:
            made += 1
            responder(request, connection)
        else:
            whole(request, connection)

    route53.default = answer
    try:
        yield
    finally:
        route53.default = whole
    assert made > 0


def without_bucket(config: Path) -> Path:
    """The same service, and a bucket that does not exist: what the record of the standby's fence is in is not seen."""
    document = yaml.safe_load(config.read_text())
    document["state"]["bucket"] = "gone"
    dark = config.with_name("dark.yaml")
    dark.write_text(yaml.safe_dump(document))
    return dark


def settled(config: Path, *command: str, at: str | None = None) -> Freezing:
    """Run it until it freezes or ends, as an operator does: again, while a mirror that has just begun runs nothing.

    And where Kafka Connect is too busy to answer while nothing has been done yet.
    """
    deadline = time.monotonic() + 180
    while True:
        run = Freezing(*command, config=config, at=at)
        if run.is_frozen():
            return run
        answer = run.thawed()
        if "the target cannot take over" in answer.stderr:
            stopped(answer, "stopped at check-health")
        elif answer.code != ExitCode.REFUSED or "Kafka Connect at" not in answer.stderr:
            return run
        assert time.monotonic() < deadline, run.thawed().said


@contextmanager
def frozen(config: Path, *command: str, at: str) -> Iterator[Freezing]:
    """Run it, and have it freeze itself there."""
    run = settled(config, *command, at=at)
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


def refuses_without_its_bucket(box: Sandbox, dark: Path, state: str) -> None:
    """A directory stands in for it where somebody says so, says who is primary, and the bucket is dark."""
    refused(drkit(*MOVE, config=dark), ExitCode.REFUSED)
    unnamed = drkit("--state", state, *MOVE, config=dark)
    refused(unnamed, ExitCode.REFUSED, "nobody knows which region is primary")
    beside = drkit("--state", state, "--primary", PRIMARY, *MOVE, config=box.config)
    refused(beside, ExitCode.REFUSED, "the state bucket answers")


def hears_of_it(box: Sandbox, dark: Path, state: str, run_id: str) -> None:
    """The bucket is there again."""
    assert drkit("--state", state, "status", *JSON, config=dark).document["primary"] == STANDBY
    uploaded = drkit("--state", state, "runs", "upload", *JSON, config=box.config)
    assert uploaded.code == ExitCode.DONE, uploaded.said
    assert uploaded.document["primary"] == STANDBY
    status = drkit("status", *JSON, config=box.config).document
    assert (status["primary"], status["last_run"]["run_id"]) == (STANDBY, run_id)
    assert drkit("fence", "status", PRIMARY, *JSON, config=box.config).document["fenced"] is True


def test_whatever_it_loses_on_its_way_nothing_is_lost_or_read_twice(
    box: Sandbox, route53: ScriptedHttpServer, tmp_path: Path
) -> None:
    workload = Workload(box)
    workload.start(rate=300, groups=6)
    eventually(lambda: workload.report()["acknowledged"] > 2000, timeout_seconds=60, because="it writes", every=1)
    dark, state = without_bucket(box.config), f"local:{tmp_path / 'state'}"
    refuses_without_its_bucket(box, dark, state)
    move, resume = ("--state", state, "--primary", PRIMARY, *MOVE), ("--state", state, *RESUME)

    with frozen(dark, *move, at="fence-producers:after-intent") as run:
        box.fault(Fault.FREEZE, STANDBY, "mirror")
        written = workload.report()["acknowledged"]
        eventually(
            lambda: workload.report()["acknowledged"] > written + 300,
            timeout_seconds=PATIENCE_SECONDS,
            because="applications write what is not mirrored",
        )
    stopped(run.thawed(), "stopped at drain-mirror", "still has records to carry over", "drkit mm2 status")
    assert run.thawed().stderr.startswith(f"warning: break-glass: the state is kept in {state}")
    # What hangs is killed, and started anew.
    box.fault(Fault.KILL, STANDBY, "mirror")
    box.fault(Fault.START, STANDBY, "mirror")

    with frozen(dark, *resume, at="cut:after-evidence") as run:
        box.fault(Fault.KILL, STANDBY, "broker")
    stopped(run.thawed(), STANDBY, "is the cluster up, and reachable from here?")
    box.fault(Fault.START, STANDBY, "all")

    with answered(route53, is_change, DOWN):
        stopped(settled(dark, *resume).thawed(), "stopped at redirect", "AWS answered with an error of its own")
    with answered(route53, is_change, THROTTLED, times=8), answered(route53, is_question, PENDING, times=3):
        done = drkit(*resume, config=dark)
    assert done.code == ExitCode.DONE, done.said
    report = done.document
    assert (report["outcome"], report["state"]) == ("succeeded", state)
    assert report["records_lost"] == {"known": 0, "unknown": False}
    assert report["offsets"]["partitions"] == report["offsets"]["exact"] > 0
    hears_of_it(box, dark, state, report["run_id"])

    workload.stop(drain_seconds=60)
    ledger = workload.report()
    assert ledger["acknowledged_at"].keys() == {PRIMARY, STANDBY}
    assert (ledger["lost"], ledger["replayed"], ledger["out_of_order"]) == (0, 0, 0), ledger["offenders"]
