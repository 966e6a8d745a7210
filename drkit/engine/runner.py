"""Runs a procedure: every step in turn, and an end that is always on record and names the next command."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Literal

from drkit.domain import run_events as ev
from drkit.domain.lifecycle import Phase
from drkit.domain.runs import RunState
from drkit.engine.execution import BugError, Execution, StepFailure, UndoDeferred, UndoRefused
from drkit.engine.failpoints import RUN, hit
from drkit.engine.interrupt import Interrupt, InterruptedRunError, RunInterruptedError
from drkit.engine.journal import Journal
from drkit.engine.lease import Lease
from drkit.engine.listener import GuardedListener, RunListener
from drkit.engine.step import Procedure, Step
from drkit.engine.takeover import Purpose, past_return, require_continuable, require_return
from drkit.errors import (
    DrkitError,
    ExitCode,
    RefusedError,
    StoppedError,
    UnknownOutcomeError,
    UnreachableError,
)
from drkit.ports import Clock

GivesWay = Callable[[], bool]
"""Whether a run that failed is to stop as it is, for another one to take its place."""

_CHANGED_NOTHING = (ExitCode.AUTHENTICATION, ExitCode.REFUSED, ExitCode.PLAN_STALE)
"""Exit codes that say already that nothing was changed."""


class Runner:
    """Runs, resumes or undoes one procedure under one journal and one lease, both of which the caller has opened.

    A new run is planned in the journal before ``run``. A run that goes on needs ``take_over`` first, then ``resume`` or
    ``abort``. ``gives_way`` is asked once a step has failed, as long as clients have not been redirected.
    """

    def __init__(
        self,
        procedure: Procedure,
        journal: Journal,
        lease: Lease,
        clock: Clock,
        listener: RunListener,
        interrupt: Interrupt,
        *,
        gives_way: GivesWay = lambda: False,
    ) -> None:
        self._procedure = procedure
        self._gives_way = gives_way
        self._journal = journal
        self._interrupt = interrupt
        self._execution = Execution(journal, lease, clock, GuardedListener(listener), interrupt)

    def take_over(
        self, owner: str, purpose: Purpose, previous: str, accepted: Mapping[str, int | str] | None = None
    ) -> None:
        """Put the run on record as this process's: from here on every append of an earlier one fails.

        ``previous``: who held the lease until it was taken over; empty if it was free. ``accepted``: options that are
        added to those of the plan. Raises ``RefusedError`` where
        the run is over, is being undone (resume) or is past the point of no return (abort), and ``StalePlanError``
        when the code has other steps than the ones that were planned. Nothing is journaled then.
        """
        state = self._journal.state
        self._interrupt.farewell = f"drkit {purpose} {state.run_id} goes on"
        require_continuable(self._procedure, state, purpose)
        self._journal.append(ev.RunTakenOver(owner, purpose, previous, dict(accepted or {})))
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

    def abort(self, reason: str, *, target_is_gone: bool = False) -> RunState:
        """Undo, in reverse order, whatever may have been changed; the final state.

        Raises ``RefusedError`` past the point of no return (also where only the world shows it), or when a step
        refuses before anything was undone (the run can then be resumed as before), ``StoppedError`` if something
        could not be undone, ``RunInterruptedError``. ``target_is_gone``: the old primary is opened without knowing
        whether applications have written to the target; what is to be undone there is owed.
        """
        require_return(self._journal.state)
        if not self._journal.state.is_being_undone:
            self._require_undoable(target_is_gone=target_is_gone)
        try:
            return self._undo_all(reason, target_is_gone=target_is_gone)
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

    def _perform_all(self, *, again: bool = False) -> None:
        """Every step that is not done, and with ``again`` every one whose facts do not outlast an interruption."""
        steps = self._journal.state.steps
        due = [
            step
            for step in self._procedure.steps
            if not steps[step.name].is_done or (again and self._is_worn_out(step))
        ]
        # Before the first effect, every step reads what makes it quick later.
        for step in due:
            self._execution.prepare(step)
        for step in due:
            self._execution.perform(step)

    def _is_worn_out(self, step: Step[Any]) -> bool:
        """Whether an interruption ends a fact of this step, and it can be established again."""
        behind = self._journal.state.steps.get(step.measured_before)
        return not step.holds_over_interruption and not (behind and behind.begun)

    def _may_have_redirected(self) -> bool:
        """Whether clients may have moved, by the journal or by what the world shows of an effect without evidence."""
        state, redirect = self._journal.state, self._redirect
        return state.is_past_no_return or (state.steps[redirect.name].begun and self._execution.is_begun(redirect))

    def _require_undoable(self, *, target_is_gone: bool = False) -> None:
        """Refuse to undo what clients use by now, by what the world shows: evidence may never have been journaled."""
        state, redirect = self._journal.state, self._redirect
        if state.steps[redirect.name].begun:
            try:
                has_moved = self._execution.looks_begun(redirect)
            except DrkitError as error:
                raise RefusedError(
                    f"it is not known whether run {state.run_id} has redirected clients: {error.message}",
                    hint=_joined(error.hint, f"nothing was undone: {self._resume()} looks again, and goes on"),
                ) from error
            if has_moved:
                raise past_return(state)
        for step in reversed(self._procedure.steps):
            if state.steps[step.name].begun:
                try:
                    self._execution.check_undo(step)
                except UnreachableError as error:
                    if not target_is_gone:
                        raise RefusedError(
                            f"whether applications have written to {state.plan.target} is not known: {error.message}",
                            hint=f"drkit abort {state.run_id} --target-is-gone undoes the rest without knowing",
                        ) from error

    @property
    def _redirect(self) -> Step[Any]:
        return next(step for step in self._procedure.steps if step.name == self._procedure.no_return_after)

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
        is_asked = not (state.is_past_no_return or self._interrupt.signal_name or isinstance(error, BugError))
        gives_way = is_asked and self._gives_way()
        if not state.is_changed:
            self._finish(Phase.REFUSED)
            if isinstance(error, BugError) or error.exit_code in _CHANGED_NOTHING:
                return error
            return RefusedError(error.message, hint=error.hint)
        stopped = f"stopped at {failure.step}: {error.message}"
        stays = gives_way or not state.plan.undo_on_failure
        if stays or state.is_past_no_return or self._interrupt.signal_name:
            return StoppedError(stopped, hint=_joined(error.hint, f"{self._resume()} goes on{self._way_back()}"))
        return self._undone(failure, stopped)

    def _undone(self, failure: StepFailure, stopped: str) -> DrkitError:
        """Undo a run that failed, if that is right, and say how it ended."""
        error = failure.error
        try:
            self._require_undoable()
        except DrkitError as refused:
            return StoppedError(
                f"{stopped}; not undone: {refused.message}", hint=_joined(error.hint, f"{self._resume()} goes on")
            )
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
                hint=_joined(second.error.hint, f"drkit abort {self._journal.state.run_id} goes on undoing"),
            )
        return RefusedError(f"{stopped}; everything that had been changed was undone", hint=error.hint)

    def _undo_all(self, reason: str, *, target_is_gone: bool = False) -> RunState:
        if self._journal.state.phase is not Phase.UNDOING:
            self._journal.append(ev.AbortStarted(reason))
            hit(RUN, "after-abort-started")
        owed: UndoDeferred | None = None
        for step in reversed(self._procedure.steps):
            if self._journal.state.steps[step.name].begun:
                may_wait = not step.is_undo_guarded or (target_is_gone and step is not self._redirect)
                try:
                    self._execution.undo(step, may_wait=may_wait or self._journal.state.steps[step.name].is_owed)
                except UndoDeferred as deferred:
                    # One side that is down must not keep the other from working again.
                    owed = owed or deferred
        if owed is not None:
            raise self._execution.stop_undoing(owed) from owed.error
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
        if state.is_past_no_return:
            return ""
        may_be_late = state.steps[self._redirect.name].begun and not state.is_restore
        limit = " unless clients were redirected" if may_be_late else ""
        return f", drkit abort {state.run_id} undoes it{limit}"


def _joined(hint: str, command: str) -> str:
    return f"{hint}; then {command}" if hint else command
