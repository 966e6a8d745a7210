"""Redirect: every redirect target points at the new primary, set by compare-and-set and checked at its authority."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from drkit.engine.step import Evidence, Mode, NotYetError, RunContext, Step
from drkit.errors import AuthError, DrkitError, RefusedError, StalePlanError, UnknownOutcomeError, UnreachableError
from drkit.ports import RecordSet, RedirectTarget, RedirectWriter
from drkit.steps.standstill import require_fence_held
from drkit.steps.world import World

_POLL_SECONDS = 0.1
_ASK_AGAIN_SECONDS = 2.0

Observed = Mapping[str, RecordSet]


class Redirect(Step[Observed]):
    """Clients that look the service up find the new primary.

    A connected client does not look up anything: the fence made it leave; this tells it where to.
    """

    name = "redirect"
    is_undo_guarded = True

    def __init__(self, world: World, targets: Sequence[RedirectWriter]) -> None:
        self._world = world
        self._targets = targets
        self._silent = ""

    @property
    def budget_seconds(self) -> float:
        """``timeouts.redirect_seconds``."""
        return self._world.settings.timeouts.redirect_seconds

    def describe(self, context: RunContext) -> str:
        """Name each target with its new values."""
        changes = [f"{target.name} to {', '.join(target.values_for(context.target))}" for target in self._targets]
        silent = f" (does not answer now, and the run will stop here if it still does not: {self._silent})"
        text = f"point {'; '.join(changes)}" if changes else "no redirect target is configured"
        return text + silent if self._silent else text

    def check(self, context: RunContext) -> None:
        """Refuse a target that points at neither region.

        In a disaster everything before it can be done while a target's control plane is down.
        """
        self._silent = ""
        try:
            self.observe(context)
        except UnreachableError as error:
            if context.mode is not Mode.DISASTER:
                raise
            self._silent = error.message

    def observe(self, context: RunContext) -> Observed:
        """The control plane's values; refuses one that points at neither region."""
        observed = {target.name: target.observe() for target in self._targets}
        for target in self._targets:
            values = observed[target.name].values
            if values not in (target.values_for(context.source), target.values_for(context.target)):
                raise RefusedError(
                    f"{target.name} is {', '.join(values) or 'empty'}: neither {context.source}'s nor "
                    f"{context.target}'s value, so somebody else changed it",
                    hint="set it back, or put the new value into drkit.yaml under redirect",
                )
        return observed

    def is_satisfied(self, context: RunContext, observation: Observed) -> bool:
        """Every target points at the new primary, and its servers say so."""
        return all(
            observation[target.name].values == target.values_for(context.target)
            and _answers_with(target, target.values_for(context.target))
            for target in self._targets
        )

    def is_begun(self, context: RunContext, observation: Observed) -> bool:
        """Any target points at the new primary."""
        return any(observation[t.name].values == t.values_for(context.target) for t in self._targets)

    def apply(self, context: RunContext, observation: Observed) -> None:
        """Switch each, wait until it is in sync, then until its servers answer with it."""
        if not self.is_begun(context, observation):
            # The last moment at which a record that was acknowledged behind the fence can still be carried over.
            require_fence_held(self._world, context)
        try:
            self._switch(context, observation, context.target)
        except (AuthError, RefusedError, UnknownOutcomeError) as error:
            if context.mode is Mode.DISASTER:
                # Nothing of such a run is undone by itself: what is left to do by hand stays right.
                error.hint = "; ".join(filter(None, (error.hint, self._by_hand(context))))
            raise

    def confirm(self, context: RunContext) -> Evidence:
        """What each target and each of its servers say now."""
        observed = self.observe(context)
        return {
            "at": self._world.clock.now().isoformat(),
            "targets": {
                target.name: {
                    "values": list(observed[target.name].values),
                    "answers": {server: list(values) for server, values in target.answers().items()},
                }
                for target in self._targets
            },
        }

    def compensate(self, context: RunContext) -> Evidence:
        """Point them back at the old primary."""
        self._switch(context, self.observe(context), context.source)
        return {"region": context.source}

    def _switch(self, context: RunContext, observed: Observed, region: str) -> None:
        deadline = self._world.clock.monotonic() + self.budget_seconds
        for target in self._targets:
            wanted = target.values_for(region)
            if observed[target.name].values != wanted:
                change = self._changed(context, target, observed[target.name], region, deadline)
                in_sync = partial(_is_in_sync, target, change, wanted)
                self._wait(context, deadline, f"{target.name} to be in sync", in_sync)
            self._wait(context, deadline, f"the name servers of {target.name}", partial(_answers_with, target, wanted))

    def _changed(
        self, context: RunContext, target: RedirectWriter, expected: RecordSet, region: str, deadline: float
    ) -> str:
        """The change's id; empty where the change turned out to have been made.

        A change that got no answer may be made at any moment, also when everything else has been undone. So it is
        asked for again, by the same expectation, until an answer says what became of it.
        """
        clock, unanswered = self._world.clock, False
        while True:
            try:
                return target.switch(expected, region)
            except UnknownOutcomeError as error:
                unanswered = True
                failure: DrkitError = error
            except StalePlanError:
                if not unanswered or target.observe().values != target.values_for(region):
                    raise
                return ""
            except UnreachableError as error:
                if not unanswered:
                    raise
                failure = error
            if clock.monotonic() > deadline:
                raise UnknownOutcomeError(
                    f"{failure.message}; whether {target.name} changes to {', '.join(target.values_for(region))} is "
                    "not known: an earlier request got no answer",
                    hint=f"what is {target.name} now, and has somebody else changed it? Look at its control plane",
                )
            context.progress(f"asking again for the change of {target.name}")
            clock.sleep(_ASK_AGAIN_SECONDS)

    def _by_hand(self, context: RunContext) -> str:
        """What an operator can do where drkit cannot."""
        left = [f"{target.name} to {', '.join(target.values_for(context.target))}" for target in self._targets]
        return (
            f"everything before it is done: wait until the control plane answers, or set by hand {'; '.join(left)} "
            "(in the AWS console: Route 53, hosted zones)"
        )

    def _wait(self, context: RunContext, deadline: float, what: str, condition: Callable[[], bool]) -> None:
        clock = self._world.clock
        while not condition():
            if clock.monotonic() > deadline:
                raise NotYetError(
                    f"gave up waiting for {what}",
                    hint="the change was accepted and stays; drkit resume goes on waiting for it",
                )
            context.progress(f"waiting for {what}")
            clock.sleep(_POLL_SECONDS)


def _is_in_sync(target: RedirectWriter, change: str, wanted: tuple[str, ...]) -> bool:
    try:
        return not change or target.is_in_sync(change)
    except UnreachableError:
        # The control plane has accepted the change; what it brought about shows without it.
        return _answers_with(target, wanted)


def _answers_with(target: RedirectTarget, wanted: tuple[str, ...]) -> bool:
    # A server that is silent says nothing about the others' clients: one must answer, and none may answer otherwise.
    given = [values for values in target.answers().values() if values]
    return bool(given) and all(values == wanted for values in given)
