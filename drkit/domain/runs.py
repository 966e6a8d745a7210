"""The state of a run: always the fold of its journal, never kept anywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import reduce
from typing import Any, Final

from drkit.domain import run_entries as en
from drkit.domain import run_events as ev
from drkit.domain.lifecycle import Facts, Phase, Trigger, next_phase


class StepOutcome(StrEnum):
    """What is known of a step."""

    PENDING = "pending"
    STARTED = "started"
    """The intent is on record, the outcome is not: its effect may have happened."""
    SUCCEEDED = "succeeded"
    MISSED = "missed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    UNDONE = "undone"


_TOUCHED: Final = frozenset(
    {StepOutcome.STARTED, StepOutcome.SUCCEEDED, StepOutcome.MISSED, StepOutcome.FAILED, StepOutcome.UNKNOWN}
)
_DONE: Final = frozenset({StepOutcome.SUCCEEDED, StepOutcome.MISSED})


@dataclass(frozen=True, slots=True)
class StepState:
    """One step of a run. ``begun``: the intent of its effect was journaled at least once since it was last undone."""

    name: str
    is_effect: bool
    outcome: StepOutcome = StepOutcome.PENDING
    evidence: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    reason: str = ""
    hint: str = ""
    begun: bool = False

    @property
    def is_done(self) -> bool:
        """Whether the run may go on to the next step."""
        return self.outcome in _DONE

    @property
    def may_have_changed_something(self) -> bool:
        """Whether there may be an effect to undo."""
        return self.is_effect and self.begun and self.outcome in _TOUCHED


@dataclass(frozen=True, slots=True)
class RunState:
    """A run as its journal tells it."""

    run_id: str
    plan: ev.RunPlanned
    phase: Phase
    started_at: datetime
    last_at: datetime
    steps: Mapping[str, StepState]
    next_seq: int
    digest: str
    undone: int = 0

    @property
    def is_past_no_return(self) -> bool:
        """Whether clients have been redirected."""
        return self.steps[self.plan.no_return_after].outcome is StepOutcome.SUCCEEDED

    @property
    def is_changed(self) -> bool:
        """Whether something may have been changed and not been undone."""
        return any(step.may_have_changed_something for step in self.steps.values())

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
    ev.CompensationFailed: Trigger.FAIL_UNDO,
}


def fold(entries: Iterable[en.SealedEntry]) -> RunState:
    """The state after all entries.

    Raises ``JournalError`` for a gap, a broken chain, another run's entry or a journal that does not begin with a plan,
    and ``LifecycleError`` for an event that cannot happen where it stands.
    """
    rest = iter(entries)
    first = next(rest, None)
    if first is None:
        raise en.JournalError("the journal is empty", hint="drkit runs list shows the runs that there are")
    return reduce(advance, rest, _begin(first))


def _begin(first: en.SealedEntry) -> RunState:
    entry = first.entry
    if entry.seq != 0 or entry.previous != en.GENESIS or not isinstance(entry.event, ev.RunPlanned):
        raise en.JournalError(f"the journal of {entry.run_id} does not begin with its plan")
    return RunState(
        run_id=entry.run_id,
        plan=entry.event,
        phase=Phase.RUNNING,
        started_at=entry.at,
        last_at=entry.at,
        steps={step.name: StepState(step.name, step.is_effect) for step in entry.event.steps},
        next_seq=1,
        digest=first.digest,
    )


def advance(state: RunState, sealed: en.SealedEntry) -> RunState:
    """The state after one more entry."""
    entry = sealed.entry
    if entry.run_id != state.run_id or entry.seq != state.next_seq or entry.previous != state.digest:
        raise en.JournalError(
            f"entry {entry.seq} of {state.run_id} does not continue entry {state.next_seq - 1}",
            hint="an entry is missing, or was written by somebody else: compare with the local copy of the journal",
        )
    event = entry.event
    trigger = _FINISH[event.outcome] if isinstance(event, ev.RunFinished) else _TRIGGERS[type(event)]
    phase = next_phase(state.phase, trigger, state.facts)
    return replace(
        state,
        phase=phase,
        steps=_steps(state, event),
        last_at=entry.at,
        next_seq=state.next_seq + 1,
        digest=sealed.digest,
        undone=state.undone + isinstance(event, ev.CompensationDone),
    )


def _steps(state: RunState, event: ev.Event) -> Mapping[str, StepState]:
    name = getattr(event, "step", None)
    if not isinstance(name, str):
        return state.steps
    if name not in state.steps:
        raise en.JournalError(f"the journal of {state.run_id} has a step {name} that its plan does not")
    return {**state.steps, name: _step(state.steps[name], event)}


def _step(step: StepState, event: ev.Event) -> StepState:  # noqa: PLR0911 - one return per kind of event
    match event:
        case ev.StepStarted():
            return replace(step, outcome=StepOutcome.STARTED, begun=True)
        case ev.StepSucceeded(evidence=evidence, seconds=seconds):
            return replace(step, outcome=StepOutcome.SUCCEEDED, evidence=evidence, seconds=seconds, reason="", hint="")
        case ev.StepMissed(evidence=evidence, seconds=seconds, reason=reason, hint=hint):
            return replace(
                step, outcome=StepOutcome.MISSED, evidence=evidence, seconds=seconds, reason=reason, hint=hint
            )
        case ev.StepFailed(seconds=seconds, reason=reason, hint=hint):
            return replace(step, outcome=StepOutcome.FAILED, seconds=seconds, reason=reason, hint=hint)
        case ev.StepUnknown(seconds=seconds, reason=reason, hint=hint):
            return replace(step, outcome=StepOutcome.UNKNOWN, seconds=seconds, reason=reason, hint=hint)
        case ev.CompensationDone(evidence=evidence, seconds=seconds):
            return replace(step, outcome=StepOutcome.UNDONE, evidence=evidence, seconds=seconds, begun=False)
        case _:
            return step
