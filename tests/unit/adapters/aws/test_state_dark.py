"""The state bucket goes dark under a run: S3 over HTTP that is frozen, refuses, breaks connections or answers 503."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from drkit.adapters.aws.objects import S3ObjectStore
from drkit.adapters.aws.session import AwsSession
from drkit.adapters.local.clock import SystemClock
from drkit.domain.lifecycle import Phase
from drkit.engine.journal import StateDarkError
from drkit.errors import ExitCode
from tests.fakes.aws import FakeObjectStore
from tests.fakes.engine import Operator
from tests.fakes.http_server import ScriptedHttpServer, aws_error, forward, hang_up, http_server
from tests.fakes.moto import Moto, moto_server
from tests.fakes.procedure import World

REGION: Final = "ap-northeast-1"
OWNER = "alice@here pid 1 started 1"


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory, no_aws_identity: None) -> Iterator[Moto]:
    with moto_server(tmp_path_factory.mktemp("moto") / "log") as one:
        yield one


@pytest.fixture
def between(moto: Moto) -> Iterator[ScriptedHttpServer]:
    with http_server(forward(moto.url)) as one:
        yield one


def _dark(how: str, between: ScriptedHttpServer, moto: Moto) -> tuple[Callable[[], None], Callable[[], None]]:
    """How it goes dark, and how it answers again."""

    def answer_with(responder: object) -> Callable[[], None]:
        return lambda: setattr(between, "default", responder)

    again = answer_with(forward(moto.url))
    return {
        "frozen": (moto.freeze, moto.thaw),
        "broken": (answer_with(hang_up), again),
        "503": (answer_with(aws_error(503, "ServiceUnavailable", "later")), again),
        "slow down": (answer_with(aws_error(503, "SlowDown", "reduce your request rate")), again),
        "denied": (answer_with(aws_error(403, "AccessDenied", "a policy was changed")), again),
    }[how]


@pytest.mark.parametrize("how", ["frozen", "broken", "503", "slow down", "denied"])
def test_a_run_stops_changes_nothing_more_and_goes_on(
    between: ScriptedHttpServer, moto: Moto, tmp_path: Path, how: str
) -> None:
    session = AwsSession(SystemClock(), region=REGION, endpoint_url=between.url, request_seconds=0.6)
    bucket = f"state-{uuid.uuid4().hex}"
    session.s3().create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    store = S3ObjectStore(session, SystemClock(), bucket=bucket, region=REGION, request_seconds=0.6)
    darken, lighten = _dark(how, between, moto)
    # The intent is on record, half of the effect is made, and the evidence cannot be written.
    world = World(FakeObjectStore(), {("cut", "half-way"): darken})

    def operator() -> Operator:
        return Operator(
            store, world, SystemClock(), owner=OWNER, is_gone=OWNER.__eq__, lease_seconds=8, journal_seconds=2
        )

    first = operator()
    started = time.monotonic()
    try:
        with pytest.raises(StateDarkError) as caught:
            first.run()
        stopped_after = time.monotonic() - started
        parts = world.parts()
    finally:
        lighten()
    run = first.state()
    assert caught.value.exit_code is ExitCode.STOPPED
    assert "the state bucket takes no events, so nothing more was done" in caught.value.message
    assert caught.value.hint == f"when it answers again: drkit resume {run.run_id}, or drkit abort {run.run_id}"
    assert stopped_after < 8
    assert set(parts) == {f"{step}-{half}" for step in ("snapshot", "fence", "cut") for half in (1, 2)}
    world.faults.clear()
    assert operator().resume().phase is Phase.SUCCEEDED
