"""The contract between a procedure's steps and the engine that runs them.

A step gets its ports by constructor and returns values; the engine journals them, and hands a step the evidence of
the steps before it. A step is safe to run again at any time: ``observe`` reads the world, ``is_satisfied`` says
whether the effect is there already, and ``apply`` makes the rest of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from drkit.domain.mode import FailoverMode
from drkit.domain.objectives import Accepted
from drkit.domain.run_events import StepIdentity
from drkit.errors import DrkitError
from drkit.ports import Progress

Evidence = Mapping[str, Any]
"""What a step found or did: JSON values only, journaled and shown in the report."""

Observation = TypeVar("Observation")


Mode = FailoverMode


@dataclass(frozen=True, slots=True)
class RunContext:
    """What every step of one run shares: who moves from where to where, and what earlier steps found."""

    run_id: str
    mode: Mode
    source: str
    target: str
    evidence: Mapping[str, Evidence]
    """Step name to its evidence, for the steps that have succeeded."""
    progress: Progress
    accepted: Accepted = field(default_factory=Accepted)
    """The risks that the operator has accepted, when the run was planned or since."""

    def of(self, step: str) -> Evidence:
        """The evidence of an earlier step; an empty mapping if it was not part of the run."""
        return self.evidence.get(step, {})


class NotYetError(DrkitError):
    """A step's condition did not come true in time; the world is as before the step, or safe to repeat."""


class Step(Generic[Observation]):
    """One step of a procedure.

    The engine calls ``prepare`` for every step before the first effect of the run, then for each step in turn
    ``observe``, ``is_satisfied``, ``apply`` (unless satisfied) and ``confirm``.
    """

    name: ClassVar[str]
    """Stable identity of the step in journals; with ``version`` it tells a resumed run that the code has changed."""
    version: ClassVar[int] = 1
    is_effect: ClassVar[bool] = True
    """False for a step that only reads: the engine places no failpoints and journals no intent for it."""
    holds_over_interruption: ClassVar[bool] = True
    """False for time-bound facts (a fence, a drain, health) and what follows from them: a resumed run does these steps
    again, unless clients may have been redirected already."""
    is_undo_guarded: ClassVar[bool] = False
    """True where undoing blindly could leave clients, or their records, on the wrong side: while what it changed cannot
    be reached, nothing before it is undone."""
    is_final_by_record: ClassVar[bool] = False
    """Of the step behind which there is no return: True where there is one until its evidence is on record, else only
    until the world shows any of its effect."""
    measured_before: ClassVar[str] = ""
    """A later step behind which this one's facts cannot be measured any more: once that has begun, they are kept."""

    @property
    def budget_seconds(self) -> float | None:
        """The longest that the step waits for the world, of the configuration; None for one that does not wait."""
        return None

    def describe(self, context: RunContext) -> str:
        """One line about what the step will do, for the plan that is shown before anything is written."""
        raise NotImplementedError

    def check(self, context: RunContext) -> None:
        """Refuse, while the plan is made, what is known to fail later; reads only. Optional."""

    def prepare(self, context: RunContext) -> None:
        """Read whatever makes the step quick later; changes nothing. Optional."""

    def observe(self, context: RunContext) -> Observation:
        """Read the world; changes nothing."""
        raise NotImplementedError

    def is_satisfied(self, context: RunContext, observation: Observation) -> bool:
        """Whether the effect is there already, so that ``apply`` is not needed."""
        raise NotImplementedError

    def is_begun(self, context: RunContext, observation: Observation) -> bool:
        """Whether any of the effect is there already. Asked of the step behind which there is no return."""
        return self.is_satisfied(context, observation)

    def apply(self, context: RunContext, observation: Observation) -> None:
        """Make the effect. Compare-and-set at the resource: nothing that changed since ``observe`` is overwritten."""
        raise NotImplementedError

    def confirm(self, context: RunContext) -> Evidence:
        """Prove the effect and say what it was. Raises when it cannot be proved."""
        raise NotImplementedError

    def summarize(self, evidence: Evidence) -> str:
        """A few words about the evidence for somebody who watches; empty where the name says it all."""
        return ""

    def check_undo(self, context: RunContext) -> None:
        """Refuse, before anything of the run is undone, what must not be undone; reads only. Optional."""

    def compensate(self, context: RunContext) -> Evidence:
        """Undo the effect, as far as it was made; safe to repeat. Steps without an effect do nothing."""
        return {}

    def compensate_late(self, context: RunContext) -> Evidence:
        """As ``compensate``, where that could not be reached while the steps before this one were undone."""
        return self.compensate(context)


class ReadingStep(Step[None]):
    """A step that changes nothing, and whose reading is its proof: ``confirm`` does all of it."""

    is_effect = False

    def observe(self, context: RunContext) -> None:
        """Nothing: ``confirm`` reads."""

    def is_satisfied(self, context: RunContext, observation: None) -> bool:
        """Always: there is nothing to apply."""
        return True


@dataclass(frozen=True, slots=True)
class Procedure:
    """An ordered list of steps with a point of no return."""

    name: str
    steps: tuple[Step[Any], ...]
    no_return_after: str
    """Once this step has succeeded, an abort is refused: the way back is a failback."""

    @property
    def identities(self) -> tuple[StepIdentity, ...]:
        """The steps as a plan goes on record with them."""
        return tuple(StepIdentity(step.name, step.version, step.is_effect, step.budget_seconds) for step in self.steps)
