"""The mirror's lag now: log ends of the source against the positions in Kafka Connect, and the records between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from drkit.domain.kafka import LogRange, TopicPartition
from drkit.domain.lag import MirrorLag, mirror_lag, offsets_left
from drkit.domain.loss import loss_without_source
from drkit.domain.scope import NameFilter, partitions_in_scope
from drkit.errors import AuthError, UnreachableError
from drkit.ports import Clock, ConnectReader, KafkaReader, ReadRange

_LOOKED_AT_OFFSETS = 200
"""Per partition: a mirror that keeps up is counted exactly, one that is far behind costs no more to look at."""


WithoutSource = Callable[[Mapping[TopicPartition, int]], MirrorLag]
"""The lag by the last mirrored offsets alone, and what somebody saw of the source before."""


def nothing_seen(mirrored: Mapping[TopicPartition, int]) -> MirrorLag:
    """The lag where nobody saw the source: unknown."""
    return loss_without_source(mirrored, mirrored, {})


@dataclass(frozen=True, slots=True)
class LagCheck:
    """Measures the lag of one flow. Reads only.

    ``connector``: the one that carries records. ``topics``: what is mirrored. ``without_source``: what is known where
    the source does not answer.
    """

    source: KafkaReader
    connect: ConnectReader
    connector: str
    topics: NameFilter
    clock: Clock
    without_source: WithoutSource = nothing_seen

    def run(self, *, counting: bool = True) -> MirrorLag:
        """The lag per partition in scope. Raises what Connect's reader raises, and the source's.

        ``counting``: read a bounded number of the records that are left, to know how many they are and how old; else
        there are only upper bounds.
        """
        mirrored = self.connect.source_offsets(self.connector)
        logs = self.source.log_ranges(partitions_in_scope(self.source.describe_topics().values(), self.topics))
        counted, oldest_ms = self._look(logs, mirrored) if counting else ({}, {})
        return mirror_lag(logs, mirrored, now_ms=self._now_ms(), counted=counted, oldest_ms=oldest_ms)

    def run_or_seen(self, *, is_silent: bool = False) -> MirrorLag:
        """As ``run``, but of a source that does not answer what is known without it, instead of an error.

        The partitions are then those that were mirrored or seen. ``is_silent``: the source is known not to answer,
        and is not asked. Raises what Connect's reader raises, and ``without_source``.
        """
        if not is_silent:
            with suppress(UnreachableError, AuthError):
                return self.run()
        # Asked again: if it was Connect that did not answer, this raises.
        mirrored = self.connect.source_offsets(self.connector)
        return self.without_source({p: offset for p, offset in mirrored.items() if self.topics.matches(p.topic)})

    def _look(
        self, logs: Mapping[TopicPartition, LogRange], mirrored: Mapping[TopicPartition, int]
    ) -> tuple[Mapping[TopicPartition, int], Mapping[TopicPartition, int]]:
        left = offsets_left(logs, mirrored)
        # Above the last stable offset a committed read would wait for the transaction to end.
        ranges = [
            ReadRange(partition, start, stop)
            for partition, (start, end) in sorted(left.items())
            if start < (stop := min(end, start + _LOOKED_AT_OFFSETS, logs[partition].stable_end))
        ]
        found: dict[TopicPartition, int] = {one.partition: 0 for one in ranges}
        oldest_ms: dict[TopicPartition, int] = {}
        for record in self.source.read(ranges) if ranges else ():
            found[record.partition] += 1
            oldest_ms.setdefault(record.partition, record.timestamp_ms)
        whole = {one.partition for one in ranges if one.end == left[one.partition][1]}
        return {partition: count for partition, count in found.items() if partition in whole}, oldest_ms

    def _now_ms(self) -> int:
        return int(self.clock.now().timestamp() * 1000)
