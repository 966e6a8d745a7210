"""Drain: wait until the mirror has nothing left to carry over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drkit.domain.kafka import LogRange, TopicPartition
from drkit.domain.partition_tree import to_tree
from drkit.domain.scope import partitions_in_scope
from drkit.engine.step import Evidence, NotYetError, RunContext, Step
from drkit.ports import ReadRange
from drkit.steps.world import Mirror, World

_POLL_SECONDS = 0.05
_SEARCHED_AT_ONCE_RECORDS = 2000
"""Longer tails are looked at one by one, and only until the first that holds a data record."""


@dataclass(frozen=True, slots=True)
class DrainState:
    """What is left: log ends of the source, last mirrored offsets, and the partitions with data records between."""

    ends: Mapping[TopicPartition, LogRange]
    mirrored: Mapping[TopicPartition, int]
    remaining: tuple[TopicPartition, ...]


class DrainMirror(Step[DrainState]):
    """No data record is left to mirror: between the last mirrored offset and the settled log end are only markers.

    The last mirrored offset is Connect's own (written in the same transaction as the data under exactly-once), so
    this needs no assumption about offsets in the target log.
    """

    name = "drain-mirror"
    is_effect = False
    holds_over_interruption = False

    def __init__(self, world: World, source: str, mirror: Mirror) -> None:
        self._world = world
        self._reader = world.regions[source].reader
        self._mirror = mirror

    def describe(self, context: RunContext) -> str:
        """Say what is waited for."""
        seconds = self._world.settings.timeouts.drain_seconds
        return f"wait until nothing is left to mirror (at most {seconds:g} s)"

    def prepare(self, context: RunContext) -> None:
        """Connect to both sides once."""
        self._mirror.positions()

    def observe(self, context: RunContext) -> DrainState:
        """Compare log ends with the mirror's own positions."""
        partitions = partitions_in_scope(self._reader.describe_topics().values(), self._world.topics)
        ends = self._reader.log_ranges(partitions)
        mirrored = self._mirror.positions()
        return DrainState(ends, mirrored, self._remaining(ends, mirrored))

    def is_satisfied(self, context: RunContext, observation: DrainState) -> bool:
        """Nothing remaining."""
        return not observation.remaining

    def apply(self, context: RunContext, observation: DrainState) -> None:
        """Wait."""
        clock = self._world.clock
        deadline = clock.monotonic() + self._world.settings.timeouts.drain_seconds
        state = observation
        while state.remaining:
            if clock.monotonic() > deadline:
                raise NotYetError(
                    f"the mirror still has records to carry over in {len(state.remaining)} partitions after "
                    f"{self._world.settings.timeouts.drain_seconds:g} s, first {state.remaining[0]}",
                    hint="drkit mm2 status shows whether its tasks run; timeouts.drain_seconds allows more time",
                )
            context.progress(f"{len(state.remaining)} partitions to drain")
            clock.sleep(_POLL_SECONDS)
            state = self.observe(context)

    def confirm(self, context: RunContext) -> Evidence:
        """The drained ends."""
        state = self.observe(context)
        if state.remaining:
            raise NotYetError(f"records arrived in {state.remaining[0]} after the mirror had been drained")
        return {
            "partitions": len(state.ends),
            "source_end": to_tree({partition: log.end for partition, log in state.ends.items()}),
            "source_last": to_tree(state.mirrored),
        }

    def _remaining(
        self, ends: Mapping[TopicPartition, LogRange], mirrored: Mapping[TopicPartition, int]
    ) -> tuple[TopicPartition, ...]:
        unsettled = {p for p, log in ends.items() if not log.is_settled}
        tails = [
            ReadRange(p, start, log.end)
            for p, log in ends.items()
            if (start := max(mirrored.get(p, -1) + 1, log.start)) < log.end and p not in unsettled
        ]
        short = [tail for tail in tails if tail.end - tail.start <= _SEARCHED_AT_ONCE_RECORDS]
        long = [tail for tail in tails if tail.end - tail.start > _SEARCHED_AT_ONCE_RECORDS]
        if any(next(iter(self._reader.read([tail])), None) is not None for tail in long):
            return tuple(sorted(unsettled | {tail.partition for tail in tails}))
        with_data = {p for p, offsets in self._reader.data_offsets(short).items() if offsets} if short else set()
        return tuple(sorted(unsettled | with_data))
