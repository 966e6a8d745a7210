"""Pin: the clusters are the ones that the configuration names, and the direction is the one that the plan saw."""

from __future__ import annotations

from drkit.engine.step import Evidence, Mode, ReadingStep, RunContext
from drkit.errors import StalePlanError
from drkit.steps.lineage_record import LineageRecord
from drkit.steps.world import World


class Pin(ReadingStep):
    """Cluster ids as configured (the target's alone when the source is gone); the source is still the primary."""

    name = "pin"
    holds_over_interruption = False

    def __init__(self, world: World, record: LineageRecord) -> None:
        self._world = world
        self._record = record

    def describe(self, context: RunContext) -> str:
        """Say what is compared."""
        return "compare cluster ids with the configuration, and the primary with the lineage"

    def confirm(self, context: RunContext) -> Evidence:
        """Compare; raises at the first difference."""
        lineage = self._record.read()
        primary = lineage.primary(self._world.settings.primary)
        moved_by_this_run = lineage.is_newest_in_force(context.run_id)
        if primary != context.source and not moved_by_this_run:
            raise StalePlanError(f"{primary} is the primary, not {context.source}", hint="plan again: drkit status")
        regions = [context.target] if context.mode is Mode.DISASTER else [context.source, context.target]
        clusters = {region: self._world.require_known_cluster(region) for region in regions}
        return {"primary": primary, "clusters": clusters}
