"""Runs a procedure: every step in turn, and an end that is always on record and names the next command."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal

from drkit.domain import run_events as ev
from drkit.domain.lifecycle import Phase
from drkit.domain.runs import RunState
from drkit.engine.execution import BugError, Execution, StepFailure, UndoRefused
from drkit.engine.failpoints import RUN, hit
from drkit.engine.interrupt import Interrupt, InterruptedRunError, RunInterruptedError
from drkit.engine.journal import Journal
from drkit.engine.lease import Lease
from drkit.engine.listener import GuardedListener, RunListener
from drkit.engine.step import Procedure
from drkit.errors import DrkitError, ExitCode, RefusedError, StalePlanError, StoppedError, UnknownOutcomeError
from drkit.ports import Clock

Purpose = Literal["resume", "abort"]

_CHANGED_NOTHING = (ExitCode.AUTHENTICATION, ExitCode.REFUSED, ExitCode.PLAN_STALE)
"""Exit codes that say already that nothing was changed."""


class Runner:
    """Runs, resumes or undoes one procedure under one journal and one lease, both of which the caller has opened.

    A new run is planned in the journal before ``run``. A run that goes on needs ``take_over`` first, then ``resume`` or
    ``abort``.
    """

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
        self._interrupt = interrupt
        self._execution = Execution(journal, lease, clock, GuardedListener(listener), interrupt)

    def take_over(self, owner: str, purpose: Purpose, previous: str) -> None:
        """Put the run on record as this process's: from here on every append of an earlier one fails.

        ``previous``: who held the lease until it was taken over; empty if it was free. Raises ``RefusedError`` where
        the run is over, is being undone (resume) or is past the point of no return (abort), and ``StalePlanError``
        when the code has other steps than the ones that were planned. Nothing is journaled then.
        """
        state = self._journal.state
        self._interrupt.farewell = f"drkit {purpose} {state.run_id} goes on"
        if state.phase.is_final:
            raise RefusedError(
                f"run {state.run_id} is over: {state.phase.value}", hint=f"drkit runs show {state.run_id}"
            )
        if purpose == "abort":
            _require_return(state)
        elif state.is_being_undone:
            raise RefusedError(
                f"run {state.run_id} is being undone", hint=f"drkit abort {state.run_id} goes on with that"
            )
        self._require_same_steps(state, purpose)
        self._journal.append(ev.RunTakenOver(owner, purpose, previous))
        hit(RUN, "after-take-over")

    def run(self) -> RunState:
        """Do every step that is not done; the final state.

        Raises the step's own error if nothing was changed (the run is then REFUSED), ``RefusedError`` if a run that
        failed has undone itself, ``StoppedError`` if it can be resumed, ``UnknownOutcomeError``,
        ``RunInterruptedError``, ``LeaseLostError``; an exception of no known kind as ``BugError``, or as itself where
        ``DRKIT_DEBUG`` is set.
        """
        if self._journal.state.next_seq == 1:
            hit(RUN, "after-plan")
        return self._do(self._perform_all)

    def resume(self) -> RunState:
        """As ``run``, for a run that was taken over: time-bound facts from before it are established again, in order.

        Unless clients may have been redirected: what was true before they moved cannot be measured any more.
        """
        return self._do(lambda: self._perform_all(again=not self._may_have_redirected()))

    def _do(self, perform: Callable[[], None]) -> RunState:
        self._interrupt.farewell = f"{self._resume()} goes on"
        self._guarded(perform)
        missed = self._journal.state.facts.has_missed
        return self._finish(Phase.VERIFICATION_MISSED if missed else Phase.SUCCEEDED)

    def abort(self, reason: str) -> RunState:
        """Undo, in reverse order, whatever may have been changed; the final state.

        Raises ``RefusedError`` past the point of no return, or when the first step to be undone refuses (the run can
        then be resumed as before), ``StoppedError`` if something could not be undone, ``RunInterruptedError``.
        """
        _require_return(self._journal.state)
        try:
            return self._undo_all(reason)
        except UndoRefused as failure:
            run_id = self._journal.state.run_id
            raise RefusedError(
                f"{failure.step} refuses to be undone: {failure.error.message}",
                hint=_joined(failure.error.hint, f"nothing was undone: drkit resume {run_id} goes on"),
            ) from failure.error
        except StepFailure as failure:
            raise self._ended(
                failure.error,
                StoppedError(
                    f"{failure.step} could not be undone: {failure.error.message}",
                    hint=_joined(failure.error.hint, f"drkit abort {self._journal.state.run_id} goes on undoing"),
                ),
            ) from failure.error
        except (InterruptedRunError, KeyboardInterrupt) as signal:
            raise self._interrupted(signal) from None

    def _require_same_steps(self, state: RunState, purpose: Purpose) -> None:
        here = {step.name: (step.name, step.version, step.is_effect) for step in self._procedure.steps}
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

    def _perform_all(self, *, again: bool = False) -> None:
        """Every step that is not done, and with ``again`` every one whose facts do not outlast an interruption."""
        steps = self._journal.state.steps
        due = [
            step
            for step in self._procedure.steps
            if not steps[step.name].is_done or (again and not step.holds_over_interruption)
        ]
        # Before the first effect, every step reads what makes it quick later.
        for step in due:
            self._execution.prepare(step)
        for step in due:
            self._execution.perform(step)

    def _may_have_redirected(self) -> bool:
        """Whether clients may have moved, by the journal or by what the world shows of an effect without evidence."""
        state = self._journal.state
        redirect = next(step for step in self._procedure.steps if step.name == self._procedure.no_return_after)
        return state.is_past_no_return or (state.steps[redirect.name].begun and self._execution.is_begun(redirect))

    def _guarded(self, perform: Callable[[], None]) -> None:
        try:
            try:
                perform()
            except StepFailure as failure:
                raise self._ended(failure.error, self._failed(failure)) from failure.error
        except UnknownOutcomeError as error:
            raise UnknownOutcomeError(
                error.message, hint=_joined(error.hint, f"{self._resume()} looks again{self._way_back()}")
            ) from error
        except (InterruptedRunError, KeyboardInterrupt) as signal:
            raise self._interrupted(signal) from None

    def _failed(self, failure: StepFailure) -> DrkitError:
        """End or undo the run where that is right, and say how it ended."""
        state, error = self._journal.state, failure.error
        if not state.is_changed:
            self._finish(Phase.REFUSED)
            if isinstance(error, BugError) or error.exit_code in _CHANGED_NOTHING:
                return error
            return RefusedError(error.message, hint=error.hint)
        stopped = f"stopped at {failure.step}: {error.message}"
        if not state.plan.undo_on_failure or state.is_past_no_return or self._interrupt.signal_name:
            return StoppedError(stopped, hint=_joined(error.hint, f"{self._resume()} goes on{self._way_back()}"))
        try:
            self._undo_all(f"{failure.step} failed")
        except UndoRefused as refused:
            return StoppedError(
                f"{stopped}; {refused.step} refuses to be undone: {refused.error.message}",
                hint=_joined(error.hint, f"{self._resume()} goes on"),
            )
        except StepFailure as second:
            return StoppedError(
                f"{stopped}; then {second.step} could not be undone: {second.error.message}",
                hint=_joined(second.error.hint, f"drkit abort {state.run_id} goes on undoing"),
            )
        return RefusedError(f"{stopped}; everything that had been changed was undone", hint=error.hint)

    def _undo_all(self, reason: str) -> RunState:
        if self._journal.state.phase is not Phase.UNDOING:
            self._journal.append(ev.AbortStarted(reason))
            hit(RUN, "after-abort-started")
        for step in reversed(self._procedure.steps):
            if self._journal.state.steps[step.name].begun:
                self._execution.undo(step)
        return self._finish(Phase.UNDONE)

    def _finish(
        self, outcome: Literal[Phase.SUCCEEDED, Phase.VERIFICATION_MISSED, Phase.REFUSED, Phase.UNDONE]
    ) -> RunState:
        hit(RUN, "before-finish")
        state = self._journal.append(ev.RunFinished(outcome))
        hit(RUN, "after-finish")
        return state

    def _ended(self, error: DrkitError, ended: DrkitError) -> Exception:
        """How the run ended; for a bug, the exception itself where somebody debugs."""
        if not isinstance(error, BugError):
            return ended
        if os.environ.get("DRKIT_DEBUG"):
            error.cause.add_note(f"{ended.message}; next: {ended.hint}")
            return error.cause
        ended.exit_code = ExitCode.BUG
        return ended

    def _interrupted(self, signal: BaseException) -> DrkitError:
        state = self._journal.state
        name = str(signal) or "SIGINT"
        self._journal.append(ev.RunInterrupted(self._execution.current, name))
        if state.is_being_undone:
            return RunInterruptedError(
                f"undoing was interrupted by {name}", hint=f"drkit abort {state.run_id} goes on undoing"
            )
        return RunInterruptedError(f"interrupted by {name}", hint=f"{self._resume()} goes on{self._way_back()}")

    def _resume(self) -> str:
        return f"drkit resume {self._journal.state.run_id}"

    def _way_back(self) -> str:
        state = self._journal.state
        return "" if state.is_past_no_return else f", drkit abort {state.run_id} undoes it"


def _require_return(state: RunState) -> None:
    if state.is_past_no_return:
        raise RefusedError(
            f"run {state.run_id} has redirected clients to {state.plan.target}: it cannot be undone",
            hint=f"drkit resume {state.run_id} finishes it; the way back is another failover",
        )


def _joined(hint: str, command: str) -> str:
    return f"{hint}; then {command}" if hint else command
