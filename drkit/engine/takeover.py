"""Whether a run may be gone on with: by whom it was planned, how far it came, and in which direction it goes."""

from __future__ import annotations

from typing import Literal

from drkit.domain.runs import RunState
from drkit.engine.step import Procedure
from drkit.errors import RefusedError, StalePlanError

Purpose = Literal["resume", "abort"]


def require_continuable(procedure: Procedure, state: RunState, purpose: Purpose) -> None:
    """Return if the run can be resumed or aborted with this procedure.

    Raises ``RefusedError`` where the run is over, is being undone (resume) or is past the point of no return (abort),
    and ``StalePlanError`` when the code has other steps than the ones that were planned.
    """
    if state.phase.is_final:
        raise RefusedError(f"run {state.run_id} is over: {state.phase.value}", hint=f"drkit runs show {state.run_id}")
    if purpose == "abort":
        require_return(state)
    elif state.is_being_undone:
        raise RefusedError(f"run {state.run_id} is being undone", hint=f"drkit abort {state.run_id} goes on with that")
    _require_same_steps(procedure, state, purpose)


def require_return(state: RunState) -> None:
    """Raise ``RefusedError`` past the point of no return."""
    if state.is_past_no_return:
        raise past_return(state)


def past_return(state: RunState) -> RefusedError:
    """Why the run is not undone."""
    if state.is_restore:
        return RefusedError(
            f"run {state.run_id} has restored everything, and may have let applications in: it cannot be undone",
            hint=f"drkit resume {state.run_id} compares it with the backup, and ends it",
        )
    return RefusedError(
        f"run {state.run_id} has redirected clients to {state.plan.target}: it cannot be undone",
        hint=f"drkit resume {state.run_id} finishes it; the way back is another failover",
    )


def _require_same_steps(procedure: Procedure, state: RunState, purpose: Purpose) -> None:
    here = {step.name: (step.name, step.version, step.is_effect) for step in procedure.steps}
    planned = {step.name: (step.name, step.version, step.is_effect) for step in state.plan.steps}
    if purpose == "abort":
        # Only what was begun is undone.
        planned = {name: step for name, step in planned.items() if state.steps[name].begun}
        here = {name: step for name, step in here.items() if name in planned}
    if list(here.values()) != list(planned.values()):
        raise StalePlanError(
            f"run {state.run_id} was planned with other steps than this drkit has",
            hint=f"go on with the version that planned it, drkit {state.written_by}",
        )
