"""What the reports of all runs have in common: who did what when, and how each step ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from drkit.domain.naming import printable
from drkit.domain.run_steps import StepOutcome, StepState
from drkit.domain.runs import RunState


def frame(state: RunState) -> dict[str, Any]:
    """Which run it is, and where it stands.

    ``state``: only where a directory stood in for the state bucket, ``local:DIR``.
    """
    kept_in = state.plan.options.get("state")
    return {
        **({"state": kept_in} if kept_in else {}),
        "run_id": state.run_id,
        "procedure": state.plan.procedure,
        "mode": state.plan.mode.value,
        "from": state.plan.source,
        "to": state.plan.target,
        "supersedes": state.plan.supersedes,
        "outcome": state.phase.value,
        "started_at": state.started_at.isoformat(),
        "ended_at": state.last_at.isoformat() if state.phase.is_final else None,
        "operator": state.plan.operator,
        "owner": state.owner,
        "accepted": dict(state.plan.options),
    }


def steps_of(state: RunState) -> list[dict[str, Any]]:
    """The steps, in order."""
    return [_step(state.steps[identity.name], identity.budget_seconds) for identity in state.plan.steps]


def step_lines(document: Mapping[str, Any]) -> Iterable[str]:
    """The steps that were begun, for people."""
    for step in document["steps"]:
        if step["outcome"] != StepOutcome.PENDING.value:
            reason = f"  {printable(step['reason'])}" if step["reason"] else ""
            budget = f" of {step['budget_seconds']:g} s" if step["budget_seconds"] is not None else ""
            yield f"    {step['name']:<18} {step['outcome']:<10} {step['seconds']:8.2f} s{budget}{reason}"


def _step(step: StepState, budget_seconds: float | None) -> dict[str, Any]:
    return {
        "name": step.name,
        "outcome": step.outcome.value,
        "seconds": step.seconds,
        "budget_seconds": budget_seconds,
        "reason": step.reason,
        "evidence": dict(step.evidence),
    }
