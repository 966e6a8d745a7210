"""The state of a run: always the fold of its journal, never kept anywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from typing import Any, Final

from drkit.domain import run_entries as en
from drkit.domain import run_events as ev
from drkit.domain.lifecycle import Facts, LifecycleError, Phase, Trigger, next_phase
from drkit.domain.run_steps import StepOutcome, StepState, step_after

RESTORE: Final = "restore"
"""The procedure that puts a backup back: it moves nobody, and redirects nothing."""


@dataclass(frozen=True, slots=True)
class RunState:
    """A run as its journal tells it. ``owner``: who began it or took it over last; ``written_by``: its drkit."""

    run_id: str
    plan: ev.RunPlanned
    phase: Phase
    started_at: datetime
    last_at: datetime
    steps: Mapping[str, StepState]
    next_seq: int
    digest: str
    owner: str
    written_by: str
    undone: int = 0

    @property
    def is_restore(self) -> bool:
        """Whether it puts a backup back; any other run moves the service."""
        return self.plan.procedure == RESTORE

    @property
    def is_past_no_return(self) -> bool:
        """Whether clients have been redirected, or by a restore let in."""
        return self.steps[self.plan.no_return_after].outcome is StepOutcome.SUCCEEDED

    @property
    def is_changed(self) -> bool:
        """Whether something may have been changed and not been undone."""
        return any(step.may_have_changed_something for step in self.steps.values())

    @property
    def is_being_undone(self) -> bool:
        """Whether only an abort can go on with it."""
        return self.phase in (Phase.UNDOING, Phase.UNDO_STOPPED)

    @property
    def evidence(self) -> dict[str, Mapping[str, Any]]:
        """Evidence of the steps that are done."""
        return {name: step.evidence for name, step in self.steps.items() if step.is_done}

    @property
    def facts(self) -> Facts:
        """What the lifecycle's guards ask."""
        return Facts(
            is_past_no_return=self.is_past_no_return,
            is_changed=self.is_changed,
            is_undo_begun=self.undone > 0,
            is_complete=all(step.is_done for step in self.steps.values()),
            has_missed=any(step.outcome is StepOutcome.MISSED for step in self.steps.values()),
        )


_FINISH: Final = {
    Phase.SUCCEEDED: Trigger.SUCCEED,
    Phase.VERIFICATION_MISSED: Trigger.MISS,
    Phase.REFUSED: Trigger.REFUSE,
    Phase.UNDONE: Trigger.FINISH_UNDO,
}
_TRIGGERS: Final[dict[type[Any], Trigger]] = {
    ev.RunTakenOver: Trigger.TAKE_OVER,
    ev.StepStarted: Trigger.ADVANCE,
    ev.StepSucceeded: Trigger.ADVANCE,
    ev.StepMissed: Trigger.ADVANCE,
    ev.StepFailed: Trigger.FAIL,
    ev.StepUnknown: Trigger.LOSE_SIGHT,
    ev.RunInterrupted: Trigger.INTERRUPT,
    ev.AbortStarted: Trigger.UNDO,
    ev.AbortWithdrawn: Trigger.WITHDRAW_UNDO,
    ev.CompensationStarted: Trigger.ADVANCE_UNDO,
    ev.CompensationDone: Trigger.ADVANCE_UNDO,
    ev.CompensationDeferred: Trigger.ADVANCE_UNDO,
    ev.CompensationFailed: Trigger.FAIL_UNDO,
    ev.RunSuperseded: Trigger.SUPERSEDE,
}


def fold(entries: Iterable[en.SealedEntry]) -> RunState:
    """The state after all entries.

    Raises ``JournalError`` for a journal that drkit cannot have written: no plan at its start, a gap, a broken chain,
    another run's entry, an event that cannot happen where it stands.
    """
    rest = iter(entries)
    first = next(rest, None)
    if first is None:
        raise en.JournalError("the journal is empty", hint="drkit runs list shows the runs that there are")
    try:
        return reduce(advance, rest, begin(first))
    except LifecycleError as error:
        raise en.JournalError(
            f"the journal of {first.entry.run_id} cannot have been written by drkit: {error.message}",
            hint="compare it with the local copy of the journal",
        ) from error


def begin(first: en.SealedEntry) -> RunState:
    """The state after the first entry. Raises ``JournalError`` if it is no sound plan."""
    entry, plan = first.entry, first.entry.event
    if entry.seq != 0 or entry.previous != en.GENESIS or not isinstance(plan, ev.RunPlanned):
        raise en.JournalError(f"the journal of {entry.run_id} does not begin with its plan")
    steps = {step.name: StepState(step.name, step.is_effect) for step in plan.steps}
    if len(steps) != len(plan.steps) or plan.no_return_after not in steps:
        raise en.JournalError(
            f"the plan of {entry.run_id} has a step twice, or its point of no return is none of its steps"
        )
    return RunState(
        run_id=entry.run_id,
        plan=plan,
        phase=Phase.RUNNING,
        started_at=entry.at,
        last_at=entry.at,
        steps=steps,
        next_seq=1,
        digest=first.digest,
        owner=plan.operator,
        written_by=entry.written_by,
    )


def advance(state: RunState, sealed: en.SealedEntry) -> RunState:
    """The state after one more entry.

    Raises ``JournalError`` for one that does not continue the chain, ``LifecycleError`` for one that cannot happen now.
    """
    entry = sealed.entry
    if entry.run_id != state.run_id or entry.seq != state.next_seq or entry.previous != state.digest:
        raise en.JournalError(
            f"entry {entry.seq} of {entry.run_id} does not continue entry {state.next_seq - 1} of {state.run_id}",
            hint="an entry is missing, or was written by somebody else: compare with the local copy of the journal",
        )
    event = entry.event
    if isinstance(event, ev.RunPlanned):
        raise LifecycleError(f"run {state.run_id} is planned already")
    _require_order(state, event)
    trigger = _FINISH[event.outcome] if isinstance(event, ev.RunFinished) else _TRIGGERS[type(event)]
    return replace(
        state,
        phase=next_phase(state.phase, trigger, state.facts),
        steps=_steps(state, entry),
        last_at=entry.at,
        next_seq=state.next_seq + 1,
        digest=sealed.digest,
        owner=event.by if isinstance(event, ev.RunTakenOver) else state.owner,
        plan=_plan(state.plan, event),
        undone=state.undone + isinstance(event, ev.CompensationDone),
    )


def _plan(plan: ev.RunPlanned, event: ev.Event) -> ev.RunPlanned:
    """The plan with what whoever took the run over has accepted."""
    if not isinstance(event, ev.RunTakenOver) or not event.accepted:
        return plan
    return replace(plan, options={**plan.options, **event.accepted})


def _require_order(state: RunState, event: ev.Event) -> None:
    """Steps are done one after the other and undone in reverse; an effect has its intent before its evidence."""
    name = getattr(event, "step", None)
    if name is None:
        return
    if name not in state.steps:
        raise LifecycleError(f"{event.kind}: the plan has no step {name}")
    step, order = state.steps[name], list(state.steps.values())
    place = order.index(step)
    match event:
        case ev.StepStarted():
            holds = step.is_effect and all(earlier.is_done for earlier in order[:place])
        case ev.StepSucceeded(satisfied=satisfied):
            was_intended = satisfied or not step.is_effect or step.outcome is StepOutcome.STARTED
            holds = was_intended and all(earlier.is_done for earlier in order[:place])
        case ev.StepMissed():
            holds = state.is_past_no_return and all(earlier.is_done for earlier in order[:place])
        case ev.CompensationStarted():
            holds = step.begun and all(not later.begun or later.is_owed for later in order[place + 1 :])
        case ev.CompensationDone() | ev.CompensationDeferred() | ev.AbortWithdrawn():
            holds = step.outcome is StepOutcome.UNDOING
        case ev.CompensationFailed():
            holds = step.outcome is StepOutcome.UNDOING or step.is_owed
        case _:
            holds = True
    if not holds:
        raise LifecycleError(f"{event.kind}: {name} is {step.outcome.value} and out of its turn")


def _steps(state: RunState, entry: en.Entry) -> Mapping[str, StepState]:
    name = getattr(entry.event, "step", None)
    return state.steps if name is None else {**state.steps, name: step_after(state.steps[name], entry)}
