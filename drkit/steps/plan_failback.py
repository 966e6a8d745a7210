"""Plan the failback: where both sides diverge, and what the way back will take."""

from __future__ import annotations

import json

from drkit.domain.failback import FailbackPlan
from drkit.domain.failback_text import plan_to_json, plan_to_markdown
from drkit.domain.lag import amount_to_json
from drkit.engine.step import Evidence, Mode, RunContext, Step
from drkit.errors import RefusedError
from drkit.ports import PreconditionFailed
from drkit.steps.lineage_record import LineageRecord
from drkit.steps.world import World
from drkit.verification.failback import FailbackPlanner, FailbackSettings


class PlanFailback(Step[None]):
    """The plan of the way back, as JSON and Markdown in the state bucket."""

    name = "plan-failback"

    def __init__(self, world: World, source: str, record: LineageRecord, settings: FailbackSettings) -> None:
        self._world = world
        self._source = world.regions[source].reader
        self._record = record
        self._settings = settings
        self._plan: FailbackPlan | None = None

    def describe(self, context: RunContext) -> str:
        """Say what is stored."""
        return f"plan the way back to {context.source} and store it"

    def observe(self, context: RunContext) -> None:
        """Make the plan."""
        epoch = self._record.read().of_run(context.run_id)
        if epoch is None:
            raise RefusedError("the lineage does not hold this run's cut", hint="restore lineage.json")
        is_fenced = bool(context.of("fence-producers").get("fenced"))
        # A source that was declared gone and took the fence is there to be asked.
        old = self._source if context.mode is Mode.PLANNED or is_fenced else None
        planner = FailbackPlanner(old, self._world.clock, self._settings)
        self._plan = planner.plan(epoch, fence_holds=is_fenced)

    def is_satisfied(self, context: RunContext, observation: None) -> bool:
        """Whether both documents are stored."""
        return all(self._world.store.get(_key(context, kind)) is not None for kind in ("json", "md"))

    def apply(self, context: RunContext, observation: None) -> None:
        """Store both documents; one that is there already is of this run, and stays."""
        plan = self._made()
        documents = {"json": json.dumps(plan_to_json(plan), indent=1), "md": plan_to_markdown(plan)}
        for kind, text in documents.items():
            try:
                self._world.store.create(_key(context, kind), text.encode())
            except PreconditionFailed:
                continue

    def confirm(self, context: RunContext) -> Evidence:
        """Where the plan is, and what it has to deal with."""
        plan = self._made()
        return {
            "keys": [_key(context, kind) for kind in ("json", "md")],
            "orphans": amount_to_json(plan.orphans),
            "partitions": len(plan.partitions),
            "steps": [step.title for step in plan.steps],
        }

    def _made(self) -> FailbackPlan:
        if self._plan is None:
            raise RefusedError("the failback plan was not made before it was to be stored")
        return self._plan


def _key(context: RunContext, kind: str) -> str:
    return f"failback/{context.run_id}.{kind}"
