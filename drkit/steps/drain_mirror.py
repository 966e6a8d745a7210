"""Drain: wait until the mirror has nothing left to carry over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drkit.domain.kafka import LogRange, TopicPartition
from drkit.domain.lag import is_renewed
from drkit.domain.naming import TopicNames
from drkit.domain.partition_tree import to_tree
from drkit.domain.scope import partitions_in_scope
from drkit.engine.step import Evidence, NotYetError, RunContext, Step
from drkit.errors import RefusedError
from drkit.ports import ReadRange
from drkit.steps.world import Mirror, World

_POLL_SECONDS = 0.05
_SEARCHED_AT_ONCE_RECORDS = 2000
"""Longer tails are looked at one by one, and only until the first that holds a data record."""

_RENEWED_HINT = (
    "stop the source connector, remove its offset of that partition (PATCH /connectors/NAME/offsets with offset null), "
    "and resume it: the mirror begins the new log at its start"
)


@dataclass(frozen=True, slots=True)
class DrainState:
    """What is left: log ends of the source, last mirrored offsets, and the partitions with data records between.

    A partition that was made anew since it was mirrored remains until the mirror's position is one in the new log.
    """

    ends: Mapping[TopicPartition, LogRange]
    mirrored: Mapping[TopicPartition, int]
    remaining: tuple[TopicPartition, ...]

    def why(self, partition: TopicPartition) -> str:
        """The partition, and what is special about it."""
        if not self.is_renewed(partition):
            return str(partition)
        now = f"ends at {self.ends[partition].end}" if partition in self.ends else "is gone"
        return f"{partition}, which {now} and was mirrored up to {self.mirrored[partition]}: recreated?"

    def is_renewed(self, partition: TopicPartition) -> bool:
        """Whether the mirror's position is not one in this log."""
        log = self.ends.get(partition)
        return log is None or is_renewed(log, self.mirrored.get(partition))


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

    @property
    def budget_seconds(self) -> float:
        """``timeouts.drain_seconds``."""
        return self._world.settings.timeouts.drain_seconds

    def describe(self, context: RunContext) -> str:
        """Say what is waited for."""
        return f"wait until nothing is left to mirror (at most {self.budget_seconds:g} s)"

    def check(self, context: RunContext) -> None:
        """Refuse where drkit does not see every topic that is mirrored."""
        self._require_all_seen(context)

    def prepare(self, context: RunContext) -> None:
        """Connect to both sides once."""
        self._mirror.positions()

    def observe(self, context: RunContext) -> DrainState:
        """Compare log ends with the mirror's own positions."""
        self._require_all_seen(context)
        return self._look()

    def _require_all_seen(self, context: RunContext) -> None:
        """Raise ``RefusedError`` for mirrored topics that drkit may not describe on the source.

        They would not be drained, nor would their groups' positions be carried over.
        """
        settings = self._world.settings.replication
        names = TopicNames(settings.policy, context.source, settings.separator)
        copies = self._world.regions[context.target].reader.describe_topics()
        mirrored = {original for copy in copies if names.on_target(original := names.on_source(copy)) == copy}
        mirrored |= {p.topic for p in self._mirror.positions()}
        missing = set(self._world.topics.select(mirrored)) - self._reader.describe_topics().keys()
        # One that was deleted is no obstacle.
        hidden = sorted(self._reader.hidden_topics(missing)) if missing else []
        if hidden:
            raise RefusedError(
                f"{len(hidden)} topics are mirrored, and drkit may not describe them in {context.source}, first "
                f"{hidden[0]}: they could not be drained",
                hint="allow drkit's principal DESCRIBE and READ on every topic of replication.topics, or exclude them "
                "under replication.topics_exclude",
            )

    def _look(self) -> DrainState:
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
        deadline = clock.monotonic() + self.budget_seconds
        state = observation
        while state.remaining:
            if clock.monotonic() > deadline:
                raise NotYetError(
                    f"the mirror still has records to carry over in {len(state.remaining)} partitions after "
                    f"{self.budget_seconds:g} s, first {state.why(state.remaining[0])}",
                    hint=_RENEWED_HINT
                    if state.is_renewed(state.remaining[0])
                    else "drkit mm2 status shows whether its tasks run; timeouts.drain_seconds allows more time",
                )
            context.progress(f"{len(state.remaining)} partitions to drain")
            clock.sleep(_POLL_SECONDS)
            state = self._look()

    def confirm(self, context: RunContext) -> Evidence:
        """The drained ends."""
        state = self._look()
        if state.remaining:
            raise NotYetError(f"records arrived in {state.why(state.remaining[0])} after the mirror had been drained")
        return {
            "partitions": len(state.ends),
            "source_end": to_tree({partition: log.end for partition, log in state.ends.items()}),
            "source_last": to_tree(state.mirrored),
        }

    def _remaining(
        self, ends: Mapping[TopicPartition, LogRange], mirrored: Mapping[TopicPartition, int]
    ) -> tuple[TopicPartition, ...]:
        # A topic that was made anew may have fewer partitions, too.
        topics = {p.topic for p in ends}
        renewed = {p for p, log in ends.items() if is_renewed(log, mirrored.get(p))}
        renewed |= {p for p in mirrored if p.topic in topics and p not in ends}
        unsettled = renewed | {p for p, log in ends.items() if not log.is_settled}
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
