"""The real procedures on the fakes of both regions, killed at every failpoint: another process goes on, or undoes it.

A kill is an exception that nothing catches; that a real SIGKILL leaves no more behind is shown by ``test_kills``.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from drkit.domain.kafka import Acl
from drkit.domain.lifecycle import Phase
from drkit.domain.lineage import EpochState
from drkit.engine import failpoints
from drkit.engine.step import Mode
from drkit.errors import RefusedError, StoppedError
from drkit.procedures.failover import NO_RETURN_AFTER, STEPS
from drkit.steps.snapshot import TakeSnapshot
from tests.crash.killing import Failpoints, killed
from tests.fakes.move import FIRST, GROUP, Move, mirrored_service
from tests.fakes.service import APPLICATION, ORDERS, SOURCE, FakeService

WRITE = Acl("topic", ORDERS, "literal", APPLICATION, "*", "write", "allow")
CASES = [(mode, name) for mode, steps in STEPS.items() for name in failpoints.names(steps, NO_RETURN_AFTER)]
ABORT_ONLY = [(mode, name) for mode, name in CASES if "undo" in name or "abort" in name]
FORWARD = [case for case in CASES if case not in ABORT_ONLY and case[1] != "run:after-take-over"]


def world(service: FakeService) -> dict[str, Any]:
    """What a move changes, and others see."""
    clusters = {kafka.region: kafka.cluster for kafka in (service.source, service.target)}
    return {
        "record": service.redirect.current.values,
        "connectors": dict(service.connect.states),
        "lineage": [one.target for one in service.record.read().epochs if one.state is EpochState.IN_FORCE],
        **{
            region: (
                deepcopy(cluster.committed),
                {acl for acl in cluster.acls if acl.principal == APPLICATION},
                {p: log.end for p, log in cluster.logs.items() if "canary" not in p.topic},
            )
            for region, cluster in clusters.items()
        },
    }


def begun(mode: Mode, name: str = "") -> tuple[FakeService, Move]:
    """A service whose move has not begun; in a disaster its source answers nobody, or whoever would fence it."""
    service = mirrored_service()
    # What the mirror does not carry over, and promote does.
    operators = {replace(WRITE, principal=who, operation="all") for who in ("User:drkit", "User:mirror")}
    service.source.cluster.acls |= {WRITE, *operators}
    if mode is Mode.DISASTER:
        TakeSnapshot(service.world, SOURCE).apply(service.context(), None)
        service.checkpoint(GROUP, FIRST, 10, downstream=10)
        service.source.is_dark = not name.startswith("fence-producers:")
    return service, Move(service, mode)


@pytest.mark.parametrize(("mode", "name"), FORWARD)
def test_killed_and_resumed(points: Failpoints, mode: Mode, name: str) -> None:
    calm, move = begun(mode, name)
    ended = move.run().phase
    assert WRITE in calm.target.cluster.acls
    service, again = begun(mode, name)
    killed(points, name, again.run)
    if name != "run:after-finish":
        assert again.resume().phase is ended
    assert again.state.phase is ended
    assert world(service) == world(calm)


@pytest.mark.parametrize(("mode", "name"), FORWARD)
def test_killed_and_aborted(points: Failpoints, mode: Mode, name: str) -> None:
    service, move = begun(mode, name)
    before = world(service)
    killed(points, name, move.run)
    if service.redirect.current.values == ("1",):
        assert move.abort().phase is Phase.UNDONE
        assert world(service) == before
    else:
        with pytest.raises(RefusedError):
            move.abort()
        assert service.redirect.current.values == ("2",)


@pytest.mark.parametrize(("mode", "name"), ABORT_ONLY)
def test_killed_while_it_is_undone(points: Failpoints, mode: Mode, name: str) -> None:
    service, move = begun(mode, name)
    before = world(service)
    service.redirect.on_next("switch", _refuse)
    with pytest.raises(StoppedError):
        move.run()
    killed(points, name, move.abort)
    assert move.abort().phase is Phase.UNDONE
    assert world(service) == before


def _refuse() -> None:
    raise RefusedError("the zone is locked")


@pytest.mark.parametrize("mode", Mode)
def test_nothing_is_changed_but_between_an_intent_and_its_evidence(points: Failpoints, mode: Mode) -> None:
    """Every effect lies between two failpoints, so that a kill beside it was tried."""
    service, move = begun(mode)
    changed: list[str] = []
    seen = world(service)

    def look(name: str) -> None:
        nonlocal seen
        now = world(service)
        if now != seen:
            changed.append(name)
        seen = now

    points.seen = look
    move.run()
    assert {name.rpartition(":")[2] for name in changed} == {"after-apply"}
    assert {name.rpartition(":")[0] for name in changed} >= {
        "promote",
        "redirect",
        "record-direction",
    }
