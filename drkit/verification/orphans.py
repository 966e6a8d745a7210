"""Orphans: records on the old primary above the last one that was mirrored. They exist nowhere else."""

from __future__ import annotations

from collections.abc import Mapping

from drkit.domain.kafka import LogRange, TopicPartition
from drkit.domain.lag import Amount, AtMost, Exactly, NotKnown, unmirrored_from
from drkit.ports import KafkaReader, ReadRange


def count_orphans(
    reader: KafkaReader, mirrored: Mapping[TopicPartition, int | None], *, limit_offsets: int
) -> tuple[Mapping[TopicPartition, Amount], Mapping[TopicPartition, LogRange]]:
    """Data records above the last mirrored offset of each partition (None: nothing was mirrored), and the log ranges.

    Partitions with more than ``limit_offsets`` offsets left are bounded instead of counted; one that ends below its
    last mirrored offset was recreated, and nothing is known of it. Raises what ``KafkaReader`` raises.
    """
    logs = reader.log_ranges(mirrored)
    amounts: dict[TopicPartition, Amount] = {}
    ranges: list[ReadRange] = []
    for partition, last in mirrored.items():
        log = logs[partition]
        start, stop = unmirrored_from(log, last), min(log.end, log.stable_end)
        if last is not None and last >= log.end:
            amounts[partition] = NotKnown(
                f"its log ends at {log.end}, before the last mirrored offset {last}: recreated?"
            )
        elif start >= log.end:
            amounts[partition] = Exactly(0)
        elif stop < log.end or stop - start > limit_offsets:
            # Above an open transaction's start a committed read would wait for its end.
            amounts[partition] = AtMost(log.end - start)
        else:
            ranges.append(ReadRange(partition, start, stop))
    if ranges:
        found = reader.data_offsets(ranges)
        amounts.update({one.partition: Exactly(len(found.get(one.partition, ()))) for one in ranges})
    return amounts, logs
