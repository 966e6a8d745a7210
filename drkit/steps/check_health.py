"""Check health: both regions again, right before anything is changed; the mode of the plan must still apply."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from drkit.domain.health import Degraded, Healthy, Problem, RegionHealth, Role, Verdict, health_to_json
from drkit.domain.mode import ModeRefused, RequestedMode, decide_mode
from drkit.engine.step import Evidence, ReadingStep, RunContext
from drkit.errors import RefusedError
from drkit.steps.snapshot import TakeSnapshot

HealthOf = Callable[[Mapping[str, Role]], Mapping[str, RegionHealth]]


class CheckHealth(ReadingStep):
    """Several samples of every probe on both sides; verdicts with reasons.

    In disaster mode the operator's word that the source is gone (``--source-is-gone``) was given when the run was
    planned and holds for the run.
    """

    name = "check-health"
    holds_over_interruption = False

    def __init__(self, health: HealthOf, *, source_is_gone: bool) -> None:
        self._health = health
        self._source_is_gone = source_is_gone

    def describe(self, context: RunContext) -> str:
        """Say what is looked at."""
        return f"probe {context.source} and {context.target} once more"

    def confirm(self, context: RunContext) -> Evidence:
        """Take the samples; raises when the mode no longer applies."""
        health = self._health({context.source: Role.PRIMARY, context.target: Role.STANDBY})
        decision = decide_mode(
            RequestedMode(context.mode.value),
            health[context.source].verdict,
            self._of_target(context, health[context.target].verdict),
            source_is_gone=self._source_is_gone,
        )
        if isinstance(decision, ModeRefused):
            raise RefusedError(decision.reason, hint=decision.hint)
        return {region: health_to_json(found) for region, found in health.items()}

    def _of_target(self, context: RunContext, verdict: Verdict) -> Verdict:
        # A run that took its snapshot has found the standby fenced before: if it is open now, the run has opened it.
        if not isinstance(verdict, Degraded) or not context.of(TakeSnapshot.name):
            return verdict
        left = tuple(finding for finding in verdict.findings if finding.problem is not Problem.STANDBY_OPEN)
        return Degraded(left) if left else Healthy()
