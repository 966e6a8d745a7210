"""The part of the watch that looks at the source's log ends: what a loss is known from once the source is gone."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from drkit.backup.position_log import PositionLog
from drkit.domain.kafka import LogRange, TopicDescription, TopicPartition
from drkit.domain.log_samples import Counted, LogSamples, sampled
from drkit.domain.samples import KnownPositions
from drkit.errors import DrkitError
from drkit.steps.world import World
from drkit.verification.unmirrored import count_unmirrored


@dataclass(frozen=True, slots=True)
class LogReading:
    """Log ends that were read from ``at_ms`` on, by what was there. ``error``: why they could not be read."""

    at_ms: int
    topics: Mapping[str, TopicDescription]
    ranges: Mapping[TopicPartition, LogRange] = field(default_factory=dict)
    error: DrkitError | None = None


@dataclass(slots=True)
class LogWatch:
    """How far a region's logs go, how fast they grow, and how much of them is not mirrored."""

    world: World
    region: str

    def read(self, topics: Mapping[str, TopicDescription]) -> LogReading:
        """The ends of these topics' logs. One that nobody leads is left out."""
        led = [
            TopicPartition(topic.name, one.partition)
            for topic in topics.values()
            for one in topic.partitions
            if one.leader is not None
        ]
        at_ms = int(self.world.clock.now().timestamp() * 1000)
        try:
            return LogReading(at_ms, topics, self.world.regions[self.region].reader.log_ranges(led))
        except DrkitError as error:
            # A topic that was just removed, a leader that is gone: everything else is looked at all the same.
            return LogReading(at_ms, topics, error=error)

    def samples(self, reading: LogReading, before: KnownPositions | None) -> LogSamples:
        """Every log, with what is known of it already; unmirrored records are counted in those that moved.

        Raises what the source raises.
        """
        before = before or self._stored()
        known, before_ms = _same_logs(before, reading.topics), 0 if before is None else before.as_of_ms
        logs = {p: sampled(known.get(p), before_ms, p, log, reading.at_ms) for p, log in sorted(reading.ranges.items())}
        counted = self._counted({p: one.log for p, one in logs.items() if one is not known.get(p)})
        logs |= {p: replace(logs[p], counted=found) for p, found in counted.items()}
        there = {p for topic in reading.topics.values() for p in topic.topic_partitions} - logs.keys()
        # What was not read this time is as old as it is.
        return logs | {p: replace(known[p], seen_ms=known[p].known_ms(before_ms)) for p in there & known.keys()}

    def _counted(self, logs: Mapping[TopicPartition, LogRange]) -> Mapping[TopicPartition, Counted]:
        mirror = self.world.regions[self.world.settings.other(self.region)].mirror
        if mirror is None or not logs:
            return {}
        try:
            mirrored = mirror.positions()
        except DrkitError:
            # What is known of the source does not depend on the mirror.
            return {}
        return count_unmirrored(self.world.regions[self.region].reader, logs, mirrored)

    def _stored(self) -> KnownPositions | None:
        """What a watch before this one stored last: how fast logs grow is known from the first look on."""
        with suppress(DrkitError):
            return PositionLog(self.world.store, self.region).newest()
        return None


def _same_logs(known: KnownPositions | None, topics: Mapping[str, TopicDescription]) -> LogSamples:
    """Those that are still logs of the same topics."""
    if known is None:
        return {}
    same = {name for name, topic in topics.items() if known.topic_ids.get(name) == topic.topic_id}
    return {p: one for p, one in known.logs.items() if p.topic in same}
