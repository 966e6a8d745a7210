"""From a planned run whose source has died to a disaster move in its place, within one command."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

from drkit.domain.health import Role
from drkit.domain.mode import FailoverMode, ModeChosen, RequestedMode, decide_mode
from drkit.domain.run_events import RunPlanned
from drkit.engine.runner import GivesWay
from drkit.errors import DrkitError, RefusedError, StoppedError
from drkit.procedures.plan import Request
from drkit.steps.check_health import HealthOf

Choice = Callable[[str], bool]
"""Whether to go over, told what is the matter with the source. The operator said so beforehand, or is asked now."""


class SourceDiedError(StoppedError):
    """A planned run stopped, its source does not answer, and a disaster move is to take its place.

    ``request``: that move. Where the run had changed nothing it is over, and there is no place to take.
    """

    def __init__(self, stopped: StoppedError | RefusedError, request: Request) -> None:
        super().__init__(stopped.message, hint=stopped.hint)
        self.request = request

    def stays(self, why: DrkitError) -> StoppedError:
        """The planned run as it stands, and why nothing takes its place."""
        hints = [hint for hint in (why.hint, self.hint) if hint]
        return StoppedError(
            f"{self.message}; no disaster move takes its place: {why.message}", hint="; or ".join(hints)
        )


@contextmanager
def giving_way(plan: RunPlanned, health: HealthOf, choose: Choice | None) -> Iterator[GivesWay]:
    """Whether a run gives way, asked by its runner when a step has failed, before anything is undone.

    It is the source's health that decides whether there is a choice at all, by the same rule as ``--mode auto``: no
    sample is answered, and the target can take over. Raises ``SourceDiedError`` in the place of what the run raises,
    where that was chosen.
    """
    is_chosen = False

    def ask() -> bool:
        nonlocal is_chosen
        if choose is None or plan.mode is not FailoverMode.PLANNED:
            return False
        try:
            found = health({plan.source: Role.PRIMARY, plan.target: Role.STANDBY})
        except DrkitError:
            return False
        decision = decide_mode(RequestedMode.AUTO, found[plan.source].verdict, found[plan.target].verdict)
        is_dead = isinstance(decision, ModeChosen) and decision.mode is FailoverMode.DISASTER
        is_chosen = is_dead and choose(f"{plan.source} does not answer any more")
        return is_chosen

    try:
        yield ask
    except (StoppedError, RefusedError) as stopped:
        if not is_chosen:
            raise
        raise SourceDiedError(stopped, disaster_request(plan.target, plan.options)) from stopped


def disaster_request(target: str, options: Mapping[str, Any]) -> Request:
    """The move that takes the place of a planned one. ``options``: what was asked for and accepted then."""
    known = {field.name for field in fields(Request)}
    asked = Request(**{"procedure": "failover", **{k: v for k, v in options.items() if k in known}, "target": target})
    return replace(asked, mode=RequestedMode.DISASTER.value, supersede=True)
