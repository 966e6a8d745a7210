"""Data records of the target's logs between offset syncs, read once for several translations."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from drkit.domain.kafka import LogRange, TopicPartition
from drkit.ports import KafkaReader, ReadRange

Bounds = tuple[int, int]
"""First offset, and the first one after."""


@dataclass(frozen=True, slots=True)
class _Kept:
    topic_id: str
    bounds: Sequence[Bounds]
    offsets: array[int]
    """Those of the data records within the bounds: eight bytes each."""


@dataclass(slots=True)
class CountedLogs:
    """Reads what was not read for the translation before: what lies below the last stable offset changes no more.

    That is so as long as the topic is the same (its id tells), nothing was cut off (its last stable offset does not go
    back), and the log cleaner leaves its records alone: of a compacted topic nothing is kept. What retention deletes
    goes at the start of the log, and is left out. Only what was asked for last is kept.

    A log that was cut and has grown beyond what is kept is not recognised: that takes an unclean election, and then
    offset syncs speak of records that are gone as well.
    """

    reader: KafkaReader
    _kept: dict[TopicPartition, _Kept] = field(default_factory=dict)

    def data_offsets(self, ranges: Iterable[ReadRange]) -> Mapping[TopicPartition, Sequence[int]]:
        """As ``KafkaReader.data_offsets``."""
        bounds: dict[TopicPartition, list[Bounds]] = {}
        for one in ranges:
            bounds.setdefault(one.partition, []).append((one.start, one.end))
        if not bounds:
            return {}
        # The ids first: what is read afterwards is of this topic, or of one that will be found to be another.
        ids = {name: "" if topic.is_compacted else topic.topic_id for name, topic in self.reader.topics().items()}
        logs = self.reader.log_ranges(list(bounds))
        asked = {p: joined(some, logs[p]) for p, some in bounds.items()}
        kept = {p: self._known(p, ids.get(p.topic, ""), logs[p]) for p in asked}
        missing = [ReadRange(p, *gap) for p, some in asked.items() for gap in without(some, kept[p].bounds)]
        read = self.reader.data_offsets(missing) if missing else {}
        self._kept = {
            p: _Kept(kept[p].topic_id, some, _within(_both(kept[p].offsets, read.get(p, ())), some))
            for p, some in asked.items()
        }
        return {p: one.offsets for p, one in self._kept.items()}

    def _known(self, partition: TopicPartition, topic_id: str, log: LogRange) -> _Kept:
        known = self._kept.get(partition)
        if known is None or not topic_id or known.topic_id != topic_id:
            return _Kept(topic_id, (), array("q"))
        is_cut = bool(known.bounds) and known.bounds[-1][1] > log.stable_end
        return _Kept(topic_id, (), array("q")) if is_cut else known


def joined(bounds: Iterable[Bounds], log: LogRange) -> list[Bounds]:
    """In order, none touching another, as far as there is something stable to read."""
    found: list[Bounds] = []
    for start, end in sorted((max(start, log.start), min(end, log.stable_end)) for start, end in bounds):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


def without(bounds: Iterable[Bounds], held: Sequence[Bounds]) -> list[Bounds]:
    """What of the bounds is not held; both as ``joined`` makes them."""
    left: list[Bounds] = []
    ends = [end for _, end in held]
    for start, end in bounds:
        at = start
        for begin, stop in held[bisect_right(ends, start) :]:
            if begin >= end:
                break
            if at < begin:
                left.append((at, begin))
            at = stop
        if at < end:
            left.append((at, end))
    return left


def _both(kept: array[int], read: Sequence[int]) -> Sequence[int]:
    # Two rising sequences of few runs each: sorting only merges them.
    return sorted([*kept, *read]) if kept and read else kept or read


def _within(offsets: Sequence[int], bounds: Iterable[Bounds]) -> array[int]:
    found = array("q")
    for start, end in bounds:
        begin = bisect_left(offsets, start)
        found.extend(offsets[begin : bisect_left(offsets, end, begin)])
    return found
