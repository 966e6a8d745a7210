"""Every wait of a run has a limit, the limit is in the configuration, and whoever watches sees it."""

from __future__ import annotations

import inspect
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import drkit
from drkit.cli.live import LineView, of_budget
from drkit.config.timeouts import Timeouts
from drkit.engine.step import Mode, Step
from drkit.procedures.failover import STEPS
from tests.fakes.move import Move, mirrored_service

EVERY = sorted({step for steps in STEPS.values() for step in steps}, key=lambda step: step.name)
WAITING = [step for step in EVERY if "sleep(" in inspect.getsource(step) or "wait_until" in inspect.getsource(step)]


@cache
def code() -> str:
    """All of drkit."""
    return "\n".join(path.read_text() for path in Path(drkit.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("key", sorted(Timeouts.model_fields))
def test_every_limit_that_can_be_chosen_is_one(key: str) -> None:
    assert f"timeouts.{key}" in code()
    assert Timeouts.model_fields[key].default > 0


@pytest.mark.parametrize("step", WAITING, ids=lambda step: step.name)
def test_a_step_that_waits_has_a_budget(step: type[Step[Any]]) -> None:
    assert step.budget_seconds is not Step.budget_seconds, f"{step.name} waits, and nobody knows for how long"


def test_there_are_steps_that_wait() -> None:
    assert {step.name for step in WAITING} >= {"drain-mirror", "fence-producers", "mirror-stopped", "await-clients"}


@pytest.mark.parametrize("mode", Mode)
def test_budgets_come_from_the_configuration_and_go_on_record(mode: Mode) -> None:
    service = mirrored_service()
    timeouts = service.settings.timeouts
    planned = {step.name: step.budget_seconds for step in Move(service, mode).procedure().identities}
    assert planned["redirect"] == timeouts.redirect_seconds
    assert planned["mirror-stopped"] == timeouts.mirror_stop_seconds
    assert planned["pin"] is None
    assert set(planned.values()) <= {None, *timeouts.model_dump().values()}


def test_who_watches_sees_time_and_limit(capsys: pytest.CaptureFixture[str]) -> None:
    view = LineView({"drain-mirror": 120.0, "pin": None})
    view.step_finished("drain-mirror", "succeeded", 1.5, "")
    view.step_finished("pin", "succeeded", 0.25, "")
    first, second = capsys.readouterr().err.splitlines()
    assert first.split() == ["succeeded", "drain-mirror", "1.50", "s", "of", "120", "s"]
    assert second.split() == ["succeeded", "pin", "0.25", "s"]
    assert of_budget(2.0, 0.5).split() == ["2.00", "s", "of", "0.5", "s"]
