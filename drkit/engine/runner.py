"""Runs a procedure's steps: intent before every effect, evidence after, and an end that is always on record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from drkit.domain import run_events as ev
from drkit.domain.lifecycle import Phase
from drkit.domain.runs import RunState, StepOutcome
from drkit.engine.failpoints import hit
from drkit.engine.interrupt import Interrupt, InterruptedRunError
from drkit.engine.journal import Journal
from drkit.engine.lease import Lease
from drkit.engine.step import Procedure, RunContext, Step
from drkit.errors import (
    DrkitError,
    ExitCode,
    LeaseLostError,
    RefusedError,
    StalePlanError,
    StoppedError,
    UnknownOutcomeError,
    VerificationError,
)
from drkit.ports import Clock


class RunListener(Protocol):
    """Watches a run; what it shows is never part of the run."""

    def step_started(self, name: str) -> None:
        """A step begins."""

    def step_finished(self, name: str, outcome: str, seconds: float, summary: str) -> None:
        """A step has ended."""

    def note(self, text: str) -> None:
        """What is being waited for."""


class RunInterruptedError(DrkitError):
    """A signal ended the run at a safe point."""

    exit_code = ExitCode.INTERRUPTED


class Runner:
    """Runs, resumes or undoes one procedure under one journal and one lease."""

    def __init__(
        self,
        procedure: Procedure,
        journal: Journal,
        lease: Lease,
        clock: Clock,
        listener: RunListener,
        interrupt: Interrupt,
    ) -> None:
        self._procedure = procedure
        self._journal = journal
        self._lease = lease
        self._clock = clock
        self._listener = listener
        self._interrupt = interrupt

    def run(self) -> RunState:
        """Do every step that is not done; the final state.

        Raises the step's own error if nothing was changed (the run is then REFUSED), ``RefusedError`` if a failed run
        undid itself, ``StoppedError`` if it can be resumed, ``UnknownOutcomeError``, ``LeaseLostError``.
        """
        try:
            self._prepare()
            for step in self._procedure.steps:
                if not self._journal.state.steps[step.name].is_done:
                    self._perform(step)
        except InterruptedRunError as error:
            raise self._interrupted(str(error)) from None
        missed = self._journal.state.facts.has_missed
        return self._journal.append(ev.RunFinished(Phase.VERIFICATION_MISSED if missed else Phase.SUCCEEDED))

    def take_over(self, owner: str, purpose: str, previous: str) -> None:
        """Put the run on record as this process's, and forget facts that an interruption wears out.

        Raises ``StalePlanError`` if the code's steps are not the ones that were planned.
        """
        planned = [(step.name, step.version) for step in self._journal.state.plan.steps]
        if planned != [(step.name, step.version) for step in self._procedure.steps]:
            raise StalePlanError(
                f"run {self._journal.state.run_id} was planned with other steps than this drkit has",
                hint="resume it with the version that began it (drkit runs show), or abort it",
            )
        self._journal.append(ev.RunTakenOver(owner, "resume" if purpose == "resume" else "abort", previous))

    def refresh(self) -> None:
        """Establish time-bound facts again (a fence, a drain, health), unless clients were redirected already."""
        if self._journal.state.is_past_no_return:
            return
        try:
            for step in self._procedure.steps:
                if not self._journal.state.steps[step.name].is_done:
                    return
                if not step.holds_over_interruption:
                    self._perform(step)
        except InterruptedRunError as error:
            raise self._interrupted(str(error)) from None

    def abort(self, reason: str) -> RunState:
        """Undo, in reverse order, whatever may have been changed.

        Raises ``RefusedError`` past the point of no return, ``StoppedError`` if something could not be undone.
        """
        state = self._journal.state
        if state.is_past_no_return:
            raise RefusedError(
                "clients have been redirected: this run cannot be undone",
                hint=f"drkit resume {state.run_id} finishes it; then the way back is another failover",
            )
        if state.phase is not Phase.UNDOING:
            self._journal.append(ev.AbortStarted(reason))
        for step in reversed(self._procedure.steps):
            if self._journal.state.steps[step.name].may_have_changed_something:
                self._undo(step)
        return self._journal.append(ev.RunFinished(Phase.UNDONE))

    def _prepare(self) -> None:
        for step in self._procedure.steps:
            if not self._journal.state.steps[step.name].is_done:
                try:
                    step.prepare(self._context())
                except DrkitError as error:
                    raise self._failed(step, error, self._clock.monotonic()) from error

    def _perform(self, step: Step[Any]) -> None:
        self._interrupt.raise_if_asked()
        self._listener.step_started(step.name)
        started = self._clock.monotonic()
        context = self._context()
        try:
            observation = step.observe(context)
            satisfied = step.is_satisfied(context, observation)
            if step.is_effect:
                self._intend(step, context)
            if not satisfied:
                step.apply(context, observation)
            if step.is_effect:
                hit(step.name, "after-apply")
            evidence = step.confirm(context)
        except LeaseLostError:
            raise
        except VerificationError as error:
            if not self._journal.state.is_past_no_return:
                raise self._failed(step, error, started) from error
            self._miss(step, error, started)
            return
        except UnknownOutcomeError as error:
            seconds = self._seconds(started)
            self._journal.append(ev.StepUnknown(step.name, error.message, error.hint, seconds))
            self._listener.step_finished(step.name, "unknown", seconds, error.message)
            raise
        except DrkitError as error:
            raise self._failed(step, error, started) from error
        seconds = self._seconds(started)
        self._journal.append(ev.StepSucceeded(step.name, dict(evidence), seconds, satisfied))
        if step.is_effect:
            hit(step.name, "after-evidence")
        self._listener.step_finished(step.name, "succeeded", seconds, step.summarize(evidence))

    def _intend(self, step: Step[Any], context: RunContext) -> None:
        hit(step.name, "before-intent")
        self._journal.append(ev.StepStarted(step.name, step.describe(context)))
        hit(step.name, "after-intent")
        self._lease.ensure_held()

    def _undo(self, step: Step[Any]) -> None:
        self._lease.ensure_held()
        self._listener.step_started(step.name)
        started = self._clock.monotonic()
        self._journal.append(ev.CompensationStarted(step.name))
        hit(step.name, "before-undo")
        try:
            evidence: Mapping[str, Any] = step.compensate(self._context())
        except LeaseLostError:
            raise
        except DrkitError as error:
            seconds = self._seconds(started)
            code = int(error.exit_code)
            self._journal.append(ev.CompensationFailed(step.name, error.message, error.hint, code, seconds))
            self._listener.step_finished(step.name, "failed", seconds, error.message)
            raise StoppedError(
                f"{step.name} could not be undone: {error.message}",
                hint=f"mend it, then go on undoing: drkit abort {self._journal.state.run_id}",
            ) from error
        hit(step.name, "after-undo")
        seconds = self._seconds(started)
        self._journal.append(ev.CompensationDone(step.name, dict(evidence), seconds))
        self._listener.step_finished(step.name, "undone", seconds, "")

    def _miss(self, step: Step[Any], error: VerificationError, started: float) -> None:
        seconds = self._seconds(started)
        evidence = dict(getattr(error, "evidence", {}))
        self._journal.append(ev.StepMissed(step.name, error.message, error.hint, evidence, seconds))
        self._listener.step_finished(step.name, "failed", seconds, error.message)

    def _failed(self, step: Step[Any], error: DrkitError, started: float) -> DrkitError:
        """Journal the failure, end or undo the run where that is right, and say how it ended."""
        seconds = self._seconds(started)
        self._listener.step_finished(step.name, "failed", seconds, error.message)
        state = self._journal.append(ev.StepFailed(step.name, error.message, error.hint, int(error.exit_code), seconds))
        if not state.is_changed:
            self._journal.append(ev.RunFinished(Phase.REFUSED))
            return error if int(error.exit_code) in (4, 5, 7) else RefusedError(error.message, hint=error.hint)
        if state.plan.undo_on_failure and not state.is_past_no_return:
            self.abort(f"{step.name} failed: {error.message}")
            return RefusedError(
                f"{step.name}: {error.message}; everything that had been changed was undone", hint=error.hint
            )
        way_back = "" if state.is_past_no_return else f"; drkit abort {state.run_id} undoes it"
        advice = f"{error.hint}. Then " if error.hint else ""
        return StoppedError(
            f"stopped at {step.name}: {error.message}",
            hint=f"{advice}drkit resume {state.run_id} goes on{way_back}",
        )

    def _interrupted(self, signal_name: str) -> DrkitError:
        state = self._journal.state
        under_way = [name for name, step in state.steps.items() if step.outcome is StepOutcome.STARTED]
        self._journal.append(ev.RunInterrupted(under_way[-1] if under_way else None, signal_name))
        way_back = "" if state.is_past_no_return else f", drkit abort {state.run_id} undoes it"
        return RunInterruptedError(
            f"interrupted by {signal_name}", hint=f"drkit resume {state.run_id} goes on{way_back}"
        )

    def _context(self) -> RunContext:
        state = self._journal.state
        return RunContext(
            state.run_id, state.plan.mode, state.plan.source, state.plan.target, state.evidence, self._listener.note
        )

    def _seconds(self, started: float) -> float:
        return round(self._clock.monotonic() - started, 3)
