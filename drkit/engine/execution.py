"""Does and undoes single steps: intent before every effect, evidence after, the outcome always on record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from drkit.domain import run_events as ev
from drkit.domain.objectives import Accepted, as_acceptance
from drkit.domain.run_steps import StepOutcome
from drkit.domain.runs import RunState
from drkit.engine.failpoints import hit
from drkit.engine.interrupt import Interrupt
from drkit.engine.journal import Journal, StateDarkError
from drkit.engine.lease import Lease
from drkit.engine.listener import GuardedListener
from drkit.engine.step import Evidence, RunContext, Step
from drkit.errors import (
    DrkitError,
    LeaseLostError,
    RefusedError,
    UnknownOutcomeError,
    UnreachableError,
    VerificationError,
)
from drkit.ports import Clock

_OUT_OF_HANDS = (LeaseLostError, StateDarkError)
"""After these nothing may be journaled: the run is another process's, or its journal cannot be reached."""


class StepFailure(Exception):
    """A step failed or could not be undone, and this is on record. ``error`` says why; a bug has exit code 1."""

    def __init__(self, step: str, error: DrkitError) -> None:
        super().__init__(error.message)
        self.step = step
        self.error = error


class UndoRefused(StepFailure):
    """The first step to be undone refused, so that nothing was undone."""


class UndoDeferred(StepFailure):
    """What the step changed cannot be reached: it is owed, and the steps before it can be undone."""


class BugError(DrkitError):
    """Something that drkit did not expect: an exception of no known kind, or evidence that is not JSON.

    Only the kind goes on record: a foreign exception's text is unknown, and may hold a secret.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(f"a bug in drkit: {type(error).__name__}: {error}")
        self.cause = error
        self.on_record = f"a bug in drkit: {type(error).__name__}"


class Execution:
    """Steps of one run, under its journal and the lease.

    ``LeaseLostError``, ``StateDarkError`` and ``InterruptedRunError`` pass through; nothing is journaled for them here.
    """

    def __init__(
        self, journal: Journal, lease: Lease, clock: Clock, listener: GuardedListener, interrupt: Interrupt
    ) -> None:
        self._journal = journal
        self._lease = lease
        self._clock = clock
        self._listener = listener
        self._interrupt = interrupt
        self.current: str | None = None
        """The step that is under way; it stays so when a signal or a lost lease ends it."""

    def prepare(self, step: Step[Any]) -> None:
        """Let a step read what it needs later. Raises ``StepFailure``."""
        self._interrupt.raise_if_asked()
        started = self._clock.monotonic()
        try:
            step.prepare(self._context())
        except Exception as error:
            raise self._failed(step, known(error), started) from error

    def perform(self, step: Step[Any]) -> None:
        """Do a step. Raises ``StepFailure``, or ``UnknownOutcomeError`` when nobody can tell whether it happened."""
        self._interrupt.raise_if_asked()
        self.current = step.name
        self._listener.step_started(step.name)
        started = self._clock.monotonic()
        try:
            evidence, satisfied = self._done(step)
        except _OUT_OF_HANDS:
            raise
        except UnknownOutcomeError as error:
            seconds = self._seconds_since(started)
            self._journal.append(ev.StepUnknown(step.name, clean(error.message), clean(error.hint), seconds))
            self.current = None
            self._listener.step_finished(step.name, StepOutcome.UNKNOWN.value, seconds, error.message)
            raise
        except Exception as error:
            if isinstance(error, VerificationError) and self._may_go_on(step):
                self._miss(step, error, started)
                return
            raise self._failed(step, known(error), started) from error
        seconds = self._seconds_since(started)
        self._journal.append(ev.StepSucceeded(step.name, evidence, seconds, satisfied))
        self.current = None
        if step.is_effect and not satisfied:
            hit(step.name, "after-evidence")
        self._listener.step_finished(step.name, StepOutcome.SUCCEEDED.value, seconds, _summary(step, evidence))

    def is_begun(self, step: Step[Any]) -> bool:
        """Whether any of a step's effect is there. Raises ``StepFailure``."""
        started = self._clock.monotonic()
        try:
            return self.looks_begun(step)
        except DrkitError as error:
            raise self._failed(step, error, started) from error

    def looks_begun(self, step: Step[Any]) -> bool:
        """As ``is_begun``, and nothing goes on record. Raises ``DrkitError`` where it cannot be seen."""
        if step.is_final_by_record:
            return False
        context = self._context()
        try:
            return step.is_begun(context, step.observe(context))
        except Exception as error:
            raise known(error) from error

    def check_undo(self, step: Step[Any]) -> None:
        """Raise ``DrkitError`` for a step that must not be undone, or of which that is not known."""
        try:
            step.check_undo(self._context())
        except Exception as error:
            raise known(error) from error

    def undo(self, step: Step[Any], *, may_wait: bool) -> None:
        """Undo a step. ``may_wait``: the steps before it may be undone first, where it cannot be reached.

        Raises ``UndoRefused`` if a guard refused before anything was undone, ``UndoDeferred`` if what it changed could
        not be reached, else ``StepFailure``.
        """
        self._interrupt.raise_if_asked()
        self._lease.ensure_held()
        self.current = step.name
        self._listener.step_started(step.name)
        started = self._clock.monotonic()
        is_late = self._journal.state.steps[step.name].is_owed
        hit(step.name, "before-undo-intent")
        self._journal.append(ev.CompensationStarted(step.name))
        hit(step.name, "after-undo-intent")
        self._lease.ensure_held()
        try:
            undo = step.compensate_late if is_late else step.compensate
            evidence = as_json(undo(self._context()))
        except Exception as error:
            raise self._not_undone(step, known(error), started, may_wait=may_wait) from error
        hit(step.name, "after-undo")
        seconds = self._seconds_since(started)
        self._journal.append(ev.CompensationDone(step.name, evidence, seconds))
        self.current = None
        hit(step.name, "after-undo-evidence")
        self._listener.step_finished(step.name, StepOutcome.UNDONE.value, seconds, "")

    def _done(self, step: Step[Any]) -> tuple[dict[str, Any], bool]:
        context = self._context()
        observation = step.observe(context)
        satisfied = step.is_satisfied(context, observation)
        if step.is_effect and not satisfied:
            self._intend(step, context)
        if not satisfied:
            step.apply(context, observation)
            if step.is_effect:
                hit(step.name, "after-apply")
        return as_json(step.confirm(context)), satisfied

    def _intend(self, step: Step[Any], context: RunContext) -> None:
        """Put the intent on record. Between here and the effect nothing may end the claim on the service."""
        self._interrupt.raise_if_asked()
        self._lease.ensure_held()
        hit(step.name, "before-intent")
        self._journal.append(ev.StepStarted(step.name, clean(step.describe(context))))
        hit(step.name, "after-intent")
        self._interrupt.raise_if_asked()
        # Again: the append may have taken long, or the process may have been frozen in it.
        self._lease.ensure_held()

    def _may_go_on(self, step: Step[Any]) -> bool:
        """Behind the point of no return, a reading step that finds a difference does not stop the rest."""
        return self._journal.state.is_past_no_return and not step.is_effect

    def _miss(self, step: Step[Any], error: VerificationError, started: float) -> None:
        seconds = self._seconds_since(started)
        evidence = as_json(getattr(error, "evidence", {}))
        self._journal.append(ev.StepMissed(step.name, clean(error.message), clean(error.hint), evidence, seconds))
        self.current = None
        self._listener.step_finished(step.name, StepOutcome.MISSED.value, seconds, error.message)

    def _failed(self, step: Step[Any], error: DrkitError, started: float) -> StepFailure:
        seconds = self._seconds_since(started)
        self._journal.append(
            ev.StepFailed(step.name, on_record(error), clean(error.hint), int(error.exit_code), seconds)
        )
        self.current = None
        self._listener.step_finished(step.name, StepOutcome.FAILED.value, seconds, error.message)
        return StepFailure(step.name, error)

    def _not_undone(self, step: Step[Any], error: DrkitError, started: float, *, may_wait: bool) -> StepFailure:
        seconds = self._seconds_since(started)
        self.current = None
        self._listener.step_finished(step.name, StepOutcome.FAILED.value, seconds, error.message)
        if may_wait and isinstance(error, UnreachableError):
            self._journal.append(
                ev.CompensationDeferred(step.name, on_record(error), clean(error.hint), int(error.exit_code), seconds)
            )
            return UndoDeferred(step.name, error)
        is_refusal = isinstance(error, RefusedError) and not isinstance(error, UnreachableError)
        if is_refusal and not self._journal.state.facts.is_undo_begun:
            self._journal.append(ev.AbortWithdrawn(step.name, clean(error.message), clean(error.hint)))
            return UndoRefused(step.name, error)
        self._journal.append(
            ev.CompensationFailed(step.name, on_record(error), clean(error.hint), int(error.exit_code), seconds)
        )
        return StepFailure(step.name, error)

    def stop_undoing(self, owed: UndoDeferred) -> StepFailure:
        """Put on record that the undoing stops here, for what is owed."""
        error = owed.error
        self._journal.append(
            ev.CompensationFailed(owed.step, on_record(error), clean(error.hint), int(error.exit_code), 0.0)
        )
        return StepFailure(owed.step, error)

    def _context(self) -> RunContext:
        state: RunState = self._journal.state
        plan, options = state.plan, state.plan.options
        accepted = Accepted(as_acceptance(options.get("accept_loss")), as_acceptance(options.get("accept_replay")))
        return RunContext(
            state.run_id, plan.mode, plan.source, plan.target, state.evidence, self._listener.note, accepted
        )

    def _seconds_since(self, started: float) -> float:
        return round(self._clock.monotonic() - started, 3)


def known(error: Exception) -> DrkitError:
    """The error itself, or a bug where it is of no kind that drkit raises."""
    return error if isinstance(error, DrkitError) else BugError(error)


def on_record(error: DrkitError) -> str:
    """What the journal says about an error."""
    return clean(error.on_record if isinstance(error, BugError) else error.message)


def clean(text: str) -> str:
    """Text as JSON can hold it: lone surrogates (from file names, say) are replaced."""
    return text.encode("utf-8", "replace").decode()


def as_json(evidence: Evidence) -> dict[str, Any]:
    """Evidence as a resumed run will see it: what a journal does to it is done at once.

    Raises ``BugError`` for what is not JSON.
    """
    try:
        text = json.dumps(dict(evidence), allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise BugError(error) from error
    read_back: dict[str, Any] = json.loads(clean(text))
    return read_back


def _summary(step: Step[Any], evidence: Mapping[str, Any]) -> str:
    try:
        return step.summarize(evidence)
    except Exception:  # noqa: BLE001 - what is shown is never part of the run
        return ""
