"""What is said of the procedures without a service is what they are."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from drkit.cli import cli
from drkit.engine import failpoints
from drkit.engine.step import Mode
from drkit.procedures.failover import NO_RETURN_AFTER, STEPS
from tests.fakes.move import Move, mirrored_service


@pytest.mark.parametrize("mode", Mode)
def test_the_steps_are_those_of_a_run(mode: Mode) -> None:
    procedure = Move(mirrored_service(), mode).procedure()
    assert [type(step) for step in procedure.steps] == list(STEPS[mode])
    assert procedure.no_return_after == NO_RETURN_AFTER


def test_failpoints_are_listed_for_both_modes() -> None:
    answer = CliRunner().invoke(cli, ["internals", "failpoints", "--output", "json"])
    listed = json.loads(answer.stdout)["procedures"]
    assert listed.keys() == {"planned", "disaster", "restore", *failpoints.OUTSIDE_RUNS}
    assert set(listed["restore"]) > {f"restore-groups:{point}" for point in failpoints.AROUND_UNDO}
    for mode in Mode:
        names = listed[mode.value]
        effects = {step.name for step in STEPS[mode] if step.is_effect}
        assert {f"{step}:{point}" for step in effects for point in failpoints.AROUND_EFFECT} <= set(names)
    lines = CliRunner().invoke(cli, ["internals", "failpoints"]).stdout.splitlines()
    assert "planned  redirect:after-apply" in lines
    assert len(lines) == sum(map(len, listed.values()))
