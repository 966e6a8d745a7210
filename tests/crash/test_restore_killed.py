"""A restore on the fakes, killed at every failpoint: another process goes on, or undoes it.

``empty``: the region was lost, and everything is made again. ``replace``: what was changed since is set back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from drkit.backup.manifest import Manifest
from drkit.domain.lifecycle import Phase
from drkit.engine import failpoints
from drkit.errors import RefusedError, StoppedError
from drkit.procedures.restoring import NO_RETURN_AFTER, STEPS
from tests.crash.killing import Failpoints, killed
from tests.fakes.move import GROUP
from tests.fakes.restore import ALLOWED, FIRST, IDLE, PAYMENTS, SECOND, Shop
from tests.fakes.service import APPLICATION

NAMES = failpoints.names(STEPS, NO_RETURN_AFTER)
UNDOING = [name for name in NAMES if "undo" in name or "abort" in name]
FORWARD = [name for name in NAMES if name not in UNDOING and name != "run:after-take-over"]
KINDS = ["empty", "replace"]


def begun(kind: str) -> tuple[Shop, Manifest, dict[str, Any]]:
    """A region that something has happened to since it was backed up, and what the restore is asked for."""
    shop = Shop()
    manifest = shop.back_up()
    if kind == "empty":
        shop.lose_everything()
        return shop, manifest, {"accept_positions": True}
    shop.cluster.configs[PAYMENTS].update({"retention.ms": "7"})
    shop.cluster.acls.difference_update(acl for acl in ALLOWED if acl.principal == APPLICATION)
    shop.cluster.commit(GROUP, {FIRST: 2, SECOND: 7})
    del shop.cluster.committed[IDLE]
    shop.registry.set_compatibility(None, "NONE")
    return shop, manifest, {"replace": True}


def backed_up(kind: str) -> dict[str, Any]:
    """What the region is to be again. Leader epochs are of the logs that were lost."""
    state = Shop().state
    if kind == "empty":
        state["groups"] = {
            group: {p: replace(at, leader_epoch=None) for p, at in positions.items()}
            for group, positions in state["groups"].items()
        }
    return state


def undoable(state: dict[str, Any]) -> dict[str, Any]:
    """What an abort sets back: all but topics and schema versions, which drkit does not delete."""
    kept = {"topics", "partitions", "schemas"}
    return {key: value for key, value in state.items() if key not in kept}


def test_what_is_restored_is_what_was_backed_up() -> None:
    for kind in KINDS:
        expected = backed_up(kind)
        shop, manifest, choice = begun(kind)
        assert shop.state != expected
        assert shop.restore(manifest, **choice).exit_code == 0
        assert shop.state == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FORWARD)
def test_killed_and_resumed(points: Failpoints, kind: str, name: str) -> None:
    expected = backed_up(kind)
    shop, manifest, choice = begun(kind)
    killed(points, name, lambda: shop.restore(manifest, **choice))
    if name != "run:after-finish":
        assert shop.resume().exit_code == 0
    assert shop.run.phase is Phase.SUCCEEDED
    assert shop.state == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FORWARD)
def test_killed_and_aborted(points: Failpoints, kind: str, name: str) -> None:
    shop, manifest, choice = begun(kind)
    before = shop.state
    killed(points, name, lambda: shop.restore(manifest, **choice))
    if shop.run.is_past_no_return:
        with pytest.raises(RefusedError, match=r"no run is unfinished|cannot be undone"):
            shop.abort()
        return
    assert shop.abort().exit_code == 0
    assert shop.run.phase is Phase.UNDONE
    assert undoable(shop.state) == undoable(before)
    if kind == "replace":
        assert shop.state == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", UNDOING)
def test_killed_while_it_is_undone(points: Failpoints, kind: str, name: str) -> None:
    shop, manifest, choice = begun(kind)
    before = shop.state
    shop.service.source.on_next("create_acls", *[_refuse] * 20)
    with pytest.raises(StoppedError, match="stopped at restore-acls"):
        shop.restore(manifest, **choice)
    killed(points, name, shop.abort)
    assert shop.abort().exit_code == 0
    assert undoable(shop.state) == undoable(before)


def _refuse() -> None:
    raise RefusedError("the authorizer says no")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_changed_but_between_an_intent_and_its_evidence(points: Failpoints, kind: str) -> None:
    shop, manifest, choice = begun(kind)
    changed: list[str] = []
    seen = shop.state

    def look(name: str) -> None:
        nonlocal seen
        now = shop.state
        if now != seen:
            changed.append(name)
        seen = now

    points.seen = look
    shop.restore(manifest, **choice)
    assert changed == [f"{step.name}:after-apply" for step in STEPS if step.is_effect]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", ["create_topic", "commit_positions", "create_acls", "alter_topic_configs"])
@pytest.mark.parametrize("nth", [0, 1, 2])
def test_a_killed_call_in_the_middle_of_a_step(kind: str, call: str, nth: int) -> None:
    """A step that has made a part of its changes goes on with the others, and undoes no more than it made."""
    for goes_on in (True, False):
        expected = backed_up(kind)
        shop, manifest, choice = begun(kind)
        before = shop.state
        kills: list[Callable[[], object]] = [lambda: None] * nth
        shop.service.source.on_next(call, *kills, _refuse_once)
        try:
            shop.restore(manifest, **choice)
        except StoppedError:
            if goes_on:
                assert shop.resume().exit_code == 0
            else:
                assert shop.abort().exit_code == 0
                assert undoable(shop.state) == undoable(before)
                continue
        assert shop.state == expected


def _refuse_once() -> None:
    from drkit.errors import UnreachableError

    raise UnreachableError("the broker is gone for a moment")


def test_every_restored_acl_was_on_record_before_it_was_there(points: Failpoints) -> None:
    shop, manifest, choice = begun("empty")
    killed(points, "restore-acls:after-apply", lambda: shop.restore(manifest, **choice))
    recorded = shop.service.stored(f"undo/{shop.run.run_id}/restore-acls.json")
    assert len(recorded) == len(shop.cluster.acls) == len(ALLOWED) + 1
    assert {one["change"] for one in recorded.values()} == {"create_acl"}
