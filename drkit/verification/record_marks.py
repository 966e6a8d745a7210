"""Reads the records at positions of a log: the first one at or after each, and the last one before it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from drkit.domain.digests import Fingerprint, fingerprint
from drkit.domain.kafka import LogRange, TopicPartition
from drkit.domain.samples import Alone, Mark, PositionSample, RecordMark, alone_among
from drkit.ports import KafkaReader, ReadRange

_REACHES = (4, 50)
"""Offsets on either side of a position that are read; further ones only where the nearer hold no record."""

ALONE_WITHIN = 200
"""Offsets on either side of a record that a watch searches for others that look like it, where the mirror may copy
records again. The first record of a restarted mirror has an offset sync, so that more is rarely needed."""

_MOST_COMPARED = 50_000
"""So many offsets are searched at most for records that look like those of one call's positions."""

Position = tuple[TopicPartition, int]


def sample_positions(
    reader: KafkaReader, positions: Collection[Position], at_ms: int, *, alone_within: int = 0
) -> dict[Position, PositionSample]:
    """The samples of these positions.

    One is missing where no record is near, or where its partition is no more. A position that nothing follows yet, or
    only what a transaction holds back, has the record before it alone. ``alone_within``: so many offsets on either side
    of the first record are searched for others that look like it, as far as that is not too many in all.
    """
    partitions = sorted({p for p, _ in positions})
    known = reader.describe_topics({p.topic for p in partitions})
    logs = reader.log_ranges([p for p in partitions if p.topic in known and p in known[p.topic].topic_partitions])
    missing = [(p, offset) for p, offset in positions if p in logs]
    found: dict[Position, PositionSample] = {}
    for reach in _REACHES:
        read = read_fingerprints(reader, _around(missing, logs, reach))
        for p, offset in missing:
            one = _sample(p, offset, logs[p], within(read.get(p, ()), (offset - reach, offset + reach)), reach, at_ms)
            if one is not None:
                found[p, offset] = one
        missing = [position for position in missing if position not in found]
    if alone_within:
        wanted = _affordable(found, alone_within)
        found |= {one: replace(found[one], alone=alone) for one, alone in where_alone(reader, wanted).items()}
    return found


def where_alone(reader: KafkaReader, wanted: Mapping[Position, tuple[Mark, Alone]]) -> dict[Position, Alone]:
    """Where, within the given offsets, each position's record is alone; it is left out where the record is gone."""
    partitions = sorted({p for p, _ in wanted})
    logs = reader.log_ranges(partitions)
    bounds = {
        position: Alone(max(one.start, logs[position[0]].start), min(one.end, logs[position[0]].stable_end))
        for position, (_, one) in wanted.items()
    }
    read = read_fingerprints(reader, [ReadRange(p, *one) for (p, _), one in bounds.items() if one.start < one.end])
    # What retention deleted meanwhile was not compared.
    starts = {p: log.start for p, log in reader.log_ranges(partitions).items()}
    found: dict[Position, Alone] = {}
    for (p, offset), (start, end) in bounds.items():
        searched = Alone(max(start, starts[p]), end)
        mark = wanted[p, offset][0]
        if searched.start <= mark.offset < searched.end:
            found[p, offset] = alone_among(within(read.get(p, ()), searched), mark, searched)
    return found


def _affordable(samples: Mapping[Position, PositionSample], reach: int) -> dict[Position, tuple[Mark, Alone]]:
    """What is searched around the samples' records, in order, until it is too much."""
    wanted: dict[Position, tuple[Mark, Alone]] = {}
    compared, partition, reached = 0, None, 0
    for position, sample in sorted(samples.items()):
        if sample.first is None:
            continue
        start, end = max(0, sample.first.offset - reach), sample.first.offset + reach + 1
        begin = max(start, reached) if position[0] == partition else start
        compared += max(0, end - begin)
        if compared > _MOST_COMPARED:
            break
        partition, reached = position[0], end
        wanted[position] = sample.first, Alone(start, end)
    return wanted


def read_fingerprints(reader: KafkaReader, ranges: Iterable[ReadRange]) -> dict[TopicPartition, list[Fingerprint]]:
    """The fingerprints of the committed records in these ranges, in order."""
    found: dict[TopicPartition, list[Fingerprint]] = {}
    for record in reader.read(_merged(ranges)):
        found.setdefault(record.partition, []).append(fingerprint(record))
    return found


def within(records: Sequence[Fingerprint], bounds: tuple[int, int]) -> Sequence[Fingerprint]:
    """Those from the first bound on and below the second."""
    begin, end = (bisect_left(records, bound, key=lambda one: one.offset) for bound in bounds)
    return records[begin:end]


def _around(positions: Iterable[Position], logs: Mapping[TopicPartition, LogRange], reach: int) -> list[ReadRange]:
    return [
        ReadRange(p, start, end)
        for p, offset in positions
        if (start := max(logs[p].start, offset - reach)) < (end := min(logs[p].stable_end, offset + reach))
    ]


def _sample(
    partition: TopicPartition, offset: int, log: LogRange, around: Sequence[Fingerprint], reach: int, at_ms: int
) -> PositionSample | None:
    at = bisect_left(around, offset, key=lambda one: one.offset)
    # What an open transaction holds back comes after: all that is before the position has been decided.
    reaches_end = offset <= log.stable_end < offset + reach
    reaches_start = offset - reach <= log.start
    if at == len(around) and not reaches_end:
        return None
    if at == 0 and not reaches_start and reach != _REACHES[-1]:
        return None
    first = _mark(around[at]) if at < len(around) else None
    return PositionSample(partition, offset, at_ms, first, _mark(around[at - 1]) if at else None)


def _mark(one: Fingerprint) -> RecordMark:
    return RecordMark(one.offset, one.digest)


def _merged(ranges: Iterable[ReadRange]) -> list[ReadRange]:
    merged: list[ReadRange] = []
    for one in sorted(ranges, key=lambda r: (r.partition, r.start)):
        if merged and merged[-1].partition == one.partition and one.start <= merged[-1].end:
            merged[-1] = ReadRange(one.partition, merged[-1].start, max(merged[-1].end, one.end))
        else:
            merged.append(one)
    return merged
