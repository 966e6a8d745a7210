"""Let groups reach the end for a bounded time, then refuse their commits on the old side and read the final ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from drkit.domain.kafka import GroupOffsets, LogRange, TopicPartition
from drkit.domain.partition_tree import to_tree
from drkit.engine.step import Evidence, NotYetError, RunContext, Step
from drkit.ports import KafkaReader, ProbeOutcome
from drkit.steps.world import RegionPorts, World

_POLL_SECONDS = 0.1
_STANDSTILL_SECONDS = 0.25
"""How long positions must stand still: coordinators other than the one that refused the probe learn of the fence later.
"""


def committed_in_scope(
    world: World, reader: KafkaReader, *, stable: bool = False
) -> dict[str, dict[TopicPartition, int]]:
    """Committed offsets of every group in scope, on topics in scope; groups without any are left out.

    ``stable``: as in ``KafkaReader.committed_offsets``.
    """
    groups = world.groups.select(reader.groups())
    positions = {
        group: {p: offset for p, offset in offsets.items() if world.topics.matches(p.topic)}
        for group, offsets in reader.committed_offsets(groups, stable=stable).items()
    }
    return {group: offsets for group, offsets in positions.items() if offsets}


class DrainConsumers(Step[int]):
    """Groups that are about to reach the end may do so, for a bounded time.

    Exact positions make this a courtesy, not a need: what a group has not read here it reads on the other side. So
    the wait ends early when nothing more was committed since the last look.
    """

    name = "drain-consumers"
    is_effect = False

    def __init__(self, world: World, source: str) -> None:
        self._world = world
        self._reader = world.regions[source].reader

    @property
    def budget_seconds(self) -> float:
        """``timeouts.consumers_seconds``."""
        return self._world.settings.timeouts.consumers_seconds

    def describe(self, context: RunContext) -> str:
        """Say how long."""
        return f"let groups reach the end (at most {self.budget_seconds:g} s)"

    def observe(self, context: RunContext) -> int:
        """Records that no group has committed yet, summed over groups."""
        return self._remaining(committed_in_scope(self._world, self._reader))

    def is_satisfied(self, context: RunContext, observation: int) -> bool:
        """Every group is at the end."""
        return observation == 0

    def apply(self, context: RunContext, observation: int) -> None:
        """Wait while positions move, until the time is up."""
        clock = self._world.clock
        deadline = clock.monotonic() + self.budget_seconds
        before, now = None, committed_in_scope(self._world, self._reader)
        while now != before and self._remaining(now) and clock.monotonic() < deadline:
            clock.sleep(_POLL_SECONDS)
            before, now = now, committed_in_scope(self._world, self._reader)

    def confirm(self, context: RunContext) -> Evidence:
        """What is left."""
        return {"uncommitted_records": self.observe(context)}

    def _remaining(self, committed: GroupOffsets) -> int:
        partitions = {p for offsets in committed.values() for p in offsets}
        ends: Mapping[TopicPartition, LogRange] = self._reader.log_ranges(partitions) if partitions else {}
        return sum(max(0, ends[p].end - offset) for offsets in committed.values() for p, offset in offsets.items())


class FenceConsumers(Step[tuple[str, ...]]):
    """Commits are refused on the old side, proved by a refused one; then the final positions are read."""

    name = "fence-consumers"
    holds_over_interruption = False

    def __init__(self, world: World, source: RegionPorts) -> None:
        self._world = world
        self._source = source

    @property
    def budget_seconds(self) -> float:
        """``timeouts.fence_seconds``."""
        return self._world.settings.timeouts.fence_seconds

    def describe(self, context: RunContext) -> str:
        """Say what is fenced."""
        return f"refuse the groups' commits in {context.source}, then read their final positions"

    def observe(self, context: RunContext) -> tuple[str, ...]:
        """The groups in scope."""
        return tuple(self._world.groups.select(self._source.reader.groups()))

    def is_satisfied(self, context: RunContext, observation: Collection[str]) -> bool:
        """Only where there is no group."""
        return not observation

    def apply(self, context: RunContext, observation: Collection[str]) -> None:
        """Put the fence."""
        self._source.fence.put_consumers(observation)

    def confirm(self, context: RunContext) -> Evidence:
        """A refused commit, and positions that stand still."""
        groups = self.observe(context)
        if not groups:
            return {"groups": 0, "committed": {}}
        clock, started = self._world.clock, self._world.clock.monotonic()
        deadline = started + self.budget_seconds
        probed = TopicPartition(self._world.settings.canary_topic, 0)
        while (
            self._source.writer.probe_commit(self._world.settings.canary_group, probed, 0) is not ProbeOutcome.REFUSED
        ):
            if clock.monotonic() > deadline:
                raise NotYetError(
                    f"{self._source.region} still accepts drkit's own commit after the fence was put",
                    hint="see the fence chapter of runbooks/failover.md",
                )
            clock.sleep(0.02)
        committed = self._until_still(deadline)
        return {
            "groups": len(committed),
            "refused_after_seconds": round(clock.monotonic() - started, 3),
            "read_at": clock.now().isoformat(),
            "committed": {group: to_tree(offsets) for group, offsets in sorted(committed.items())},
        }

    def compensate(self, context: RunContext) -> Evidence:
        """Let the groups commit again."""
        return self._source.fence.lift_consumers()

    def _until_still(self, deadline: float) -> GroupOffsets:
        # The end of a transaction is not bound by a denial on the group: what it holds is waited for.
        before = committed_in_scope(self._world, self._source.reader, stable=True)
        while True:
            self._world.clock.sleep(_STANDSTILL_SECONDS)
            after = committed_in_scope(self._world, self._source.reader, stable=True)
            if after == before:
                return after
            if self._world.clock.monotonic() > deadline:
                moving = sorted(group for group in after if after[group] != before.get(group))
                raise NotYetError(
                    f"groups still commit in {self._source.region} behind the fence: {', '.join(moving[:5])}",
                    hint="their principals are not in fence.principals",
                )
            before = after
