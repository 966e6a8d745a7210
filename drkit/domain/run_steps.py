"""What a run's journal tells of one of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from drkit.domain import run_entries as en
from drkit.domain import run_events as ev


class StepOutcome(StrEnum):
    """What is known of a step."""

    PENDING = "pending"
    STARTED = "started"
    """The intent is on record, the outcome is not: its effect may have happened."""
    SUCCEEDED = "succeeded"
    MISSED = "missed"
    """A verification that found a difference; the run went on."""
    FAILED = "failed"
    UNKNOWN = "unknown"
    UNDOING = "undoing"
    """The intent to undo is on record, the outcome is not: the effect may be there in part."""
    OWED = "owed"
    """To be undone, and what it changed could not be reached; the steps before it may be undone already."""
    UNDONE = "undone"


_DONE: Final = frozenset({StepOutcome.SUCCEEDED, StepOutcome.MISSED})


@dataclass(frozen=True, slots=True)
class StepState:
    """One step of a run.

    ``begun``: the intent of its effect was journaled at least once since it was last undone. ``first_started_at``:
    when it was journaled for the first time in the run, by the clock of the machine that did it.
    """

    name: str
    is_effect: bool
    outcome: StepOutcome = StepOutcome.PENDING
    evidence: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    reason: str = ""
    hint: str = ""
    begun: bool = False
    first_started_at: datetime | None = None
    times_started: int = 0

    @property
    def is_done(self) -> bool:
        """Whether the run may go on to the next step."""
        return self.outcome in _DONE

    @property
    def is_owed(self) -> bool:
        """Whether it is to be undone as soon as what it changed can be reached again."""
        return self.outcome is StepOutcome.OWED

    @property
    def may_have_changed_something(self) -> bool:
        """Whether there may be an effect of this run to undo."""
        return self.begun


def step_after(step: StepState, entry: en.Entry) -> StepState:  # noqa: PLR0911 - one return per kind of event
    """The step after an entry that is about it."""
    match entry.event:
        case ev.StepStarted():
            return replace(
                step,
                outcome=StepOutcome.STARTED,
                reason="",
                hint="",
                begun=True,
                first_started_at=step.first_started_at or entry.at,
                times_started=step.times_started + 1,
            )
        case ev.StepSucceeded(evidence=evidence, seconds=seconds):
            return _ended(step, StepOutcome.SUCCEEDED, seconds, evidence=evidence)
        case ev.StepMissed(evidence=evidence, seconds=seconds, reason=reason, hint=hint):
            return _ended(step, StepOutcome.MISSED, seconds, reason, hint, evidence=evidence)
        case ev.StepFailed(seconds=seconds, reason=reason, hint=hint):
            return _ended(step, StepOutcome.FAILED, seconds, reason, hint)
        case ev.StepUnknown(seconds=seconds, reason=reason, hint=hint):
            return _ended(step, StepOutcome.UNKNOWN, seconds, reason, hint)
        case ev.CompensationStarted():
            return replace(step, outcome=StepOutcome.UNDOING, reason="", hint="")
        case ev.CompensationDone(evidence=evidence, seconds=seconds):
            return replace(_ended(step, StepOutcome.UNDONE, seconds, evidence=evidence), begun=False)
        case ev.CompensationDeferred(seconds=seconds, reason=reason, hint=hint):
            return _ended(step, StepOutcome.OWED, seconds, reason, hint)
        case ev.CompensationFailed(seconds=seconds, reason=reason, hint=hint):
            outcome = StepOutcome.OWED if step.is_owed else StepOutcome.UNDOING
            return _ended(step, outcome, seconds, reason, hint)
        case ev.AbortWithdrawn(reason=reason, hint=hint):
            # Undone in part or not at all: a resumed run looks at the world again.
            return _ended(step, StepOutcome.STARTED, step.seconds, reason, hint)
        case _:
            return step


def _ended(
    step: StepState,
    outcome: StepOutcome,
    seconds: float,
    reason: str = "",
    hint: str = "",
    *,
    evidence: Mapping[str, Any] | None = None,
) -> StepState:
    return replace(
        step,
        outcome=outcome,
        seconds=seconds,
        reason=reason,
        hint=hint,
        evidence=step.evidence if evidence is None else evidence,
    )
