"""Redirect: every redirect target points at the new primary, set by compare-and-set and checked at its authority."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from drkit.engine.step import Evidence, NotYetError, RunContext, Step
from drkit.errors import RefusedError
from drkit.ports import RecordSet, RedirectTarget, RedirectWriter
from drkit.steps.world import World

_POLL_SECONDS = 0.1

Observed = Mapping[str, RecordSet]


class Redirect(Step[Observed]):
    """Clients that look the service up find the new primary.

    A connected client does not look up anything: the fence made it leave; this tells it where to.
    """

    name = "redirect"

    def __init__(self, world: World, targets: Sequence[RedirectWriter]) -> None:
        self._world = world
        self._targets = targets

    def describe(self, context: RunContext) -> str:
        """Name each target with its new values."""
        changes = [f"{target.name} to {', '.join(target.values_for(context.target))}" for target in self._targets]
        return f"point {'; '.join(changes)}" if changes else "no redirect target is configured"

    def check(self, context: RunContext) -> None:
        """Refuse a target that points at neither region."""
        self.observe(context)

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
        self._switch(context, observation, context.target)

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
        deadline = self._world.clock.monotonic() + self._world.settings.timeouts.redirect_seconds
        for target in self._targets:
            wanted = target.values_for(region)
            if observed[target.name].values != wanted:
                change = target.switch(observed[target.name], region)
                in_sync = partial(target.is_in_sync, change)
                self._wait(context, deadline, f"{target.name} to be in sync", in_sync)
            self._wait(context, deadline, f"the name servers of {target.name}", partial(_answers_with, target, wanted))

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


def _answers_with(target: RedirectTarget, wanted: tuple[str, ...]) -> bool:
    # A server that is silent says nothing about the others' clients: one must answer, and none may answer otherwise.
    given = [values for values in target.answers().values() if values]
    return bool(given) and all(values == wanted for values in given)
