"""Counts the records of a live source that are not mirrored yet: what proves a loss, should it die now."""

from __future__ import annotations

from collections.abc import Mapping

from drkit.domain.kafka import LogRange, TopicPartition
from drkit.domain.lag import unmirrored_from
from drkit.domain.log_samples import Counted
from drkit.ports import KafkaReader, ReadRange

MOST_OFFSETS_EACH = 200
"""Per partition: the last ones, as a mirror that is far behind goes on from the first ones."""
_MOST_OFFSETS = 5000
"""In all; the partitions with the fewest first."""


def count_unmirrored(
    reader: KafkaReader, logs: Mapping[TopicPartition, LogRange], mirrored: Mapping[TopicPartition, int]
) -> dict[TopicPartition, Counted]:
    """The committed data records above the mirror's position in logs whose ends were read, as far as they are read.

    A log that is not among them is not counted. Raises what ``KafkaReader`` raises.
    """
    ranges = {}
    for p, log in logs.items():
        start = max(unmirrored_from(log, mirrored.get(p)), log.stable_end - MOST_OFFSETS_EACH)
        if start < log.stable_end:
            ranges[p] = ReadRange(p, start, log.stable_end)
    budget, chosen = _MOST_OFFSETS, []
    for one in sorted(ranges.values(), key=lambda one: one.end - one.start):
        budget -= one.end - one.start
        if budget < 0:
            break
        chosen.append(one)
    counts = dict.fromkeys((one.partition for one in chosen), 0)
    oldest_ms: dict[TopicPartition, int | None] = {}
    for record in reader.read(chosen) if chosen else ():
        counts[record.partition] += 1
        oldest_ms.setdefault(record.partition, record.timestamp_ms if record.timestamp_ms >= 0 else None)
    return {one.partition: Counted(one.start, counts[one.partition], oldest_ms.get(one.partition)) for one in chosen}
