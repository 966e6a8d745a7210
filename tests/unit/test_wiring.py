"""What the configuration says about time reaches whoever waits."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from drkit.adapters.aws.route53 import Route53Record
from drkit.adapters.kafka.reader import ConfluentReader
from drkit.adapters.local.hooks import HookFenceDriver
from drkit.bootstrap import _Wiring
from drkit.config.chosen import Chosen
from drkit.config.load import load
from drkit.domain import run_events as ev
from drkit.engine.journal import StateDarkError
from drkit.errors import UnreachableError
from drkit.ports import ConnectorState
from drkit.steps.mirror_install import apply_mirror
from tests.fakes.move import Move, mirrored_service, operator
from tests.fakes.procedure import Watcher
from tests.unit.config.sample import changed, settings, write
from tests.unit.mm2.fake_mirror import fake_world
from tests.unit.mm2.test_mirror_install import FLOW

SECONDS: dict[str, float] = {
    "request_seconds": 7.0,
    "health_seconds": 1.5,
    "dns_seconds": 1.25,
    "aws_setup_seconds": 3.5,
    "fence_seconds": 11.0,
    "redirect_seconds": 45.0,
    "local_lock_seconds": 0.1,
    "hook_end_seconds": 0.75,
}
HOOKS = {"kind": "hook", "put": ["true"], "lift": ["true"]}


@pytest.fixture(name="wiring")
def _wiring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Wiring]:
    monkeypatch.setenv("DRKIT_PASSWORD", "geheim")
    path = write(tmp_path, changed("timeouts", SECONDS, changed("fence", HOOKS)))
    wiring = _Wiring(load(path), tmp_path, Chosen())
    yield wiring
    wiring.close()


def _reader(reader: object) -> float:
    return cast("ConfluentReader", reader)._connection.timeout_seconds


def test_clients_are_made_with_the_limits_of_the_configuration(wiring: _Wiring) -> None:
    world = wiring.world()
    for ports in world.regions.values():
        assert (_reader(ports.reader), _reader(ports.health_reader)) == (7.0, 1.5)
        assert ports.mirror is not None
        assert cast("Any", ports.mirror.reader).timeout_seconds == 7.0
        hook = cast("HookFenceDriver", ports.fence)
        assert (hook._seconds, hook._end_seconds) == (11.0, 0.75)
        assert [cast("Any", probe)._seconds for probe in ports.probes] == [7.0]
    record = cast("Route53Record", world.redirects[0])
    assert (record._busy_seconds, record._answer_seconds) == (45.0, 1.25)
    assert (wiring._session.request_seconds, wiring._session._setup_seconds) == (7.0, 3.5)
    assert cast("Any", world.store)._calls._request_seconds == 7.0


def test_health_never_waits_longer_than_another_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRKIT_PASSWORD", "geheim")
    seconds = {**SECONDS, "request_seconds": 1.0, "lease_seconds": 30.0}
    wiring = _Wiring(load(write(tmp_path, changed("timeouts", seconds))), tmp_path, Chosen())
    assert {_reader(ports.health_reader) for ports in wiring.world().regions.values()} == {1.0}
    wiring.close()


def test_the_local_copy_waits_for_its_lock_as_long_as_it_may(wiring: _Wiring, tmp_path: Path) -> None:
    wiring.append_to_local_copy("r1", "first")
    (copy,) = tmp_path.rglob("r1.jsonl")
    with copy.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UnreachableError, match=r"for 0\.1 s"):
            wiring.append_to_local_copy("r1", "second")


def test_a_dark_bucket_is_tried_for_journal_seconds() -> None:
    service = mirrored_service()
    service.world = replace(service.world, settings=settings(changed("timeouts", {"journal_seconds": 4.0})))
    move = Move(service)
    journal = operator(service)._conductor._journal(move.run_id, None, Watcher())
    journal.append(move._planned(move.procedure()))
    service.store.is_dark = True
    with pytest.raises(StateDarkError):
        journal.append(ev.AbortStarted("x"))
    # Pauses get longer: the last one would have ended behind the limit.
    assert 1002 < service.clock.monotonic() <= 1004


def test_a_mirror_gets_mirror_start_seconds_to_run() -> None:
    limited = settings(changed("timeouts", {"mirror_start_seconds": 5.0}))
    fake = fake_world(limited)
    fake.connects["tokyo"].on_status = lambda connect, name: connect.states.update({name: ConnectorState.UNASSIGNED})
    assert not apply_mirror(fake.world, FLOW, primary="taipei").is_healthy
    assert 5.0 <= fake.clock.monotonic() - 1000 < 6.0
