"""Plans the way back: asks the old side, if it answers, what it has that never arrived."""

from __future__ import annotations

from dataclasses import dataclass

from drkit.domain.failback import FailbackPlan, OldSide, diverge
from drkit.domain.failback_steps import Places, plan_steps
from drkit.domain.lineage import Epoch
from drkit.domain.mirror_flow import Flow
from drkit.errors import DrkitError
from drkit.ports import Clock, KafkaReader
from drkit.verification.orphans import count_orphans


@dataclass(frozen=True, slots=True)
class FailbackSettings:
    """``reverse``: the flow from the new side to the old one. ``counted_offsets``: per partition, else bounded."""

    reverse: Flow
    places: Places
    separate_logs: bool = False
    """The default replication policy: mirrored records are in topics of other names."""
    counted_offsets: int = 100_000


@dataclass(frozen=True, slots=True)
class FailbackPlanner:
    """Makes the plan of the way back. Reads only. ``old``: the old side's reader, None if it is gone."""

    old: KafkaReader | None
    clock: Clock
    settings: FailbackSettings

    def plan(self, epoch: Epoch, *, fence_holds: bool) -> FailbackPlan:
        """The way back from an epoch's cut. An old side that does not answer makes its orphans unknown, not an error.

        ``fence_holds``: the old side refuses writes, and that was proved.
        """
        topics = diverge(epoch.cut, self._ask(epoch))
        steps = plan_steps(
            self.settings.reverse,
            topics,
            self.settings.places,
            fence_holds=fence_holds,
            separate_logs=self.settings.separate_logs,
        )
        return FailbackPlan(
            epoch.run_id, self.clock.now().isoformat(), epoch.mode, self.settings.reverse, topics, steps
        )

    def _ask(self, epoch: Epoch) -> OldSide | None:
        if self.old is None:
            return None
        mirrored = {partition: ends.source_last for partition, ends in epoch.cut.items()}
        try:
            existing = {p for topic in self.old.describe_topics().values() for p in topic.topic_partitions}
            there = {partition: last for partition, last in mirrored.items() if partition in existing}
            orphans, logs = count_orphans(self.old, there, limit_offsets=self.settings.counted_offsets)
        except DrkitError:
            return None
        return OldSide(orphans, logs)
