"""A disaster move in the place of an unfinished run, which with a region down may be neither finished nor undone."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from drkit.domain import run_events as ev
from drkit.domain.mode import FailoverMode
from drkit.domain.runs import RunState
from drkit.engine.journal import Journal
from drkit.errors import RefusedError
from drkit.procedures.plan import Plan

_RECORDS_DIRECTION: Final = "record-direction"


def beside_unfinished(state: RunState) -> RefusedError:
    """Why nothing is begun beside this run, and what can be done with it."""
    undo = "" if state.is_past_no_return else f", drkit abort {state.run_id} undoes it"
    return RefusedError(
        f"run {state.run_id} is unfinished ({state.phase.value})",
        hint=f"drkit resume {state.run_id} goes on with it{undo}; with a region down that it needs, "
        "drkit failover --to REGION --mode disaster --supersede takes its place",
    )


def in_place_of(plan: Plan, unfinished: RunState) -> Plan:
    """The plan, with the run that it takes the place of.

    Raises ``RefusedError`` for a planned move, which needs a world that nobody has half changed, and where clients may
    have been redirected without the lineage saying so: it would name the wrong primary.
    """
    if plan.mode is not FailoverMode.DISASTER:
        raise beside_unfinished(unfinished)
    if unfinished.is_restore:
        left = (
            f"restore {unfinished.run_id} ({unfinished.phase.value}) is given up, and what it restored stays as it is"
        )
        return replace(plan, supersedes=unfinished.run_id, warnings=(*plan.warnings, left))
    redirect, record = unfinished.steps[unfinished.plan.no_return_after], unfinished.steps.get(_RECORDS_DIRECTION)
    if redirect.begun and (record is None or not record.is_done):
        raise RefusedError(
            f"run {unfinished.run_id} may have redirected clients to {unfinished.plan.target}, and has not recorded it",
            hint=f"drkit resume {unfinished.run_id} records the direction, however far it comes; then run this again",
        )
    given_up = (
        f"run {unfinished.run_id} ({unfinished.phase.value}) is given up, and what it changed stays as it is: a fence "
        f"that it put in {unfinished.plan.source} is lifted by a move back, or by drkit fence lift"
    )
    return replace(plan, supersedes=unfinished.run_id, warnings=(*plan.warnings, given_up))


def give_up(journal: Journal, by: str) -> None:
    """Put on record that a later run has taken this one's place; nothing, if it is over already."""
    if not journal.state.phase.is_final:
        journal.append(ev.RunSuperseded(by))
