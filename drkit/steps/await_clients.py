"""Watch, for a bounded time, who has arrived on the new side and who is still on the old one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from drkit.domain.kafka import GroupState, TopicPartition
from drkit.domain.lineage import cut_from_json
from drkit.engine.step import Evidence, Mode, RunContext, Step
from drkit.errors import AuthError, UnreachableError
from drkit.ports import KafkaReader, ReadRange
from drkit.steps.world import World

_POLL_SECONDS = 0.1
_FIRST_RECORDS = 20


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Groups with members on either side, and partitions of the target that were written to after the cut."""

    at_target: frozenset[str]
    at_source: frozenset[str]
    written: tuple[TopicPartition, ...]


class AwaitClients(Step[Arrivals]):
    """The first write of an application, and the groups that were active before the run are active again.

    What does not happen in time is reported, not an error: the direction has changed, and a service without traffic
    has no clients to wait for.
    """

    name = "await-clients"
    is_effect = False

    def __init__(self, world: World, source: str, target: str) -> None:
        self._world = world
        self._source = world.regions[source].reader
        self._target = world.regions[target].reader
        self._first_write_at: datetime | None = None

    def describe(self, context: RunContext) -> str:
        """Say how long."""
        return f"watch clients arrive in {context.target} (at most {self._world.settings.timeouts.clients_seconds:g} s)"

    def observe(self, context: RunContext) -> Arrivals:
        """Who is where now."""
        ends = {p: cut.target_end for p, cut in cut_from_json(context.of("cut").get("cut", {})).items()}
        now = self._target.log_ranges(ends)
        written = tuple(sorted(p for p, end in ends.items() if now[p].end > end))
        if written and self._first_write_at is None:
            self._first_write_at = self._world.clock.now()
        return Arrivals(self._active(self._target), self._active_at_source(context), written)

    def is_satisfied(self, context: RunContext, observation: Arrivals) -> bool:
        """Somebody writes, and every expected group has arrived."""
        return bool(observation.written) and self._expected(context) <= observation.at_target

    def apply(self, context: RunContext, observation: Arrivals) -> None:
        """Watch."""
        clock = self._world.clock
        deadline = clock.monotonic() + self._world.settings.timeouts.clients_seconds
        arrivals = observation
        while not self.is_satisfied(context, arrivals) and clock.monotonic() < deadline:
            missing = len(self._expected(context) - arrivals.at_target)
            context.progress(f"{missing} groups have not arrived" if arrivals.written else "no application writes yet")
            clock.sleep(_POLL_SECONDS)
            arrivals = self.observe(context)

    def confirm(self, context: RunContext) -> Evidence:
        """Who arrived, who did not, and when the first write was seen."""
        arrivals = self.observe(context)
        expected = self._expected(context)
        return {
            "first_write_at": self._first_write(context, arrivals.written),
            "partitions_written": len(arrivals.written),
            "groups_arrived": sorted(arrivals.at_target),
            "groups_missing": sorted(expected - arrivals.at_target),
            "groups_still_at_source": sorted(arrivals.at_source),
        }

    def _first_write(self, context: RunContext, written: Collection[TopicPartition]) -> str | None:
        """When the first record after the cut was written, by its own timestamp; else when it was first seen."""
        if self._first_write_at is None:
            return None
        ends = {p: cut.target_end for p, cut in cut_from_json(context.of("cut").get("cut", {})).items()}
        ranges = [ReadRange(p, ends[p], ends[p] + _FIRST_RECORDS) for p in written if p in ends]
        times = [record.timestamp_ms for record in self._target.read(ranges) if record.timestamp_ms > 0]
        seen = self._first_write_at
        return min(seen, datetime.fromtimestamp(min(times) / 1000, UTC)).isoformat() if times else seen.isoformat()

    def _expected(self, context: RunContext) -> frozenset[str]:
        return frozenset(context.of("snapshot").get("active_groups", ()))

    def _active(self, reader: KafkaReader) -> frozenset[str]:
        groups: Mapping[str, object] = {
            name: group for name, group in reader.groups().items() if group.state is GroupState.ACTIVE
        }
        return frozenset(self._world.groups.select(groups))

    def _active_at_source(self, context: RunContext) -> frozenset[str]:
        if context.mode is Mode.DISASTER:
            return frozenset()
        try:
            return self._active(self._source)
        except (UnreachableError, AuthError):
            return frozenset()
