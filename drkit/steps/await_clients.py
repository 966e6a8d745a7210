"""Watch, for a bounded time, who has arrived on the new side and who is still on the old one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from drkit.domain.kafka import GroupState, Record, TopicPartition
from drkit.engine.step import Evidence, Mode, RunContext, Step
from drkit.errors import AuthError, UnreachableError
from drkit.ports import KafkaReader, ReadRange
from drkit.steps.new_records import first_records, target_ends
from drkit.steps.world import World

_POLL_SECONDS = 0.1
_FIRST_OFFSETS = 1000
"""How far behind a partition's first new record timestamps are looked at."""
_OPENING_SECONDS = 1.0
"""The target is open for a moment before the canary is in, and clocks differ a little."""


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
        self._first: dict[TopicPartition, Record] = {}
        self._seen_at: datetime | None = None

    @property
    def budget_seconds(self) -> float:
        """``timeouts.clients_seconds``."""
        return self._world.settings.timeouts.clients_seconds

    def describe(self, context: RunContext) -> str:
        """Say how long."""
        return f"watch clients arrive in {context.target} (at most {self.budget_seconds:g} s)"

    def observe(self, context: RunContext) -> Arrivals:
        """Who is where now."""
        # A log end alone says nothing: the mirror's transaction markers move it, too.
        rest = {p: end for p, end in target_ends(self._world, context).ends.items() if p not in self._first}
        self._first.update(first_records(self._target, rest, committed=True))
        if self._first and self._seen_at is None:
            self._seen_at = self._world.clock.now()
        return Arrivals(self._active(self._target), self._active_at_source(context), tuple(sorted(self._first)))

    def is_satisfied(self, context: RunContext, observation: Arrivals) -> bool:
        """Somebody writes, and every expected group has arrived."""
        return bool(observation.written) and self._expected(context) <= observation.at_target

    def apply(self, context: RunContext, observation: Arrivals) -> None:
        """Watch."""
        clock = self._world.clock
        deadline = clock.monotonic() + self.budget_seconds
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
            "first_write_at": self._first_write(context),
            "partitions_written": len(arrivals.written),
            "groups_arrived": sorted(arrivals.at_target),
            "groups_missing": sorted(expected - arrivals.at_target),
            "groups_still_at_source": sorted(arrivals.at_source),
        }

    def _first_write(self, context: RunContext) -> str | None:
        """When the first record after the cut was written, by its own timestamp; else when it was first seen.

        A timestamp from before the target was open is the event's, or of a record that a producer held back: then a
        later record tells more. Nothing is earlier than the canary, drkit's own first write.
        """
        if self._seen_at is None:
            return None
        opened = context.of("promote").get("canary_written_at")
        earliest = datetime.fromisoformat(opened) if opened else datetime.fromtimestamp(0, UTC)
        begin = earliest.timestamp() - _OPENING_SECONDS
        ranges = [ReadRange(p, record.offset, record.offset + _FIRST_OFFSETS) for p, record in self._first.items()]
        times = [at for record in self._target.read(ranges) if (at := record.timestamp_ms / 1000) > max(begin, 0.0)]
        written = datetime.fromtimestamp(min(times), UTC) if times else self._seen_at
        return max(earliest, min(self._seen_at, written)).isoformat()

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
