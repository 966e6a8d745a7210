"""Looks on the target for the very record that a group is at, where counting does not decide."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from drkit.domain.digests import Fingerprint, fingerprint
from drkit.domain.kafka import TopicPartition
from drkit.domain.offsets import OffsetMap, Verdict
from drkit.domain.record_match import Search
from drkit.domain.samples import PositionSample, SampleProvider
from drkit.ports import KafkaReader, ReadRange

_WIDEST = 20_000
"""A bracket of more target offsets is not read: it would take longer than reading the records again."""
_AROUND = 50
"""Source offsets on either side of a position among which its records are looked for."""

Position = tuple[TopicPartition, int]
Offsets = Mapping[TopicPartition, Sequence[int]]


@dataclass(frozen=True, slots=True)
class RecordSearch:
    """``samples``: what was seen of the source earlier, asked where ``source`` is gone."""

    target: KafkaReader
    source: KafkaReader | None
    samples: SampleProvider | None
    maps: Mapping[TopicPartition, OffsetMap]
    renamed: Mapping[TopicPartition, TopicPartition]

    def decide(self, undecided: Collection[Position], records: Offsets, sources: Offsets) -> dict[Position, Verdict]:
        """The verdicts of those positions whose records are known. ``records``, ``sources``: as for ``translate``."""
        compacted = self._compacted({self.renamed[p].topic for p, _ in undecided})
        searches: dict[Position, Search] = {}
        for (p, offset), sample in self._sampled(undecided).items():
            if self.renamed[p].topic in compacted:
                continue
            search = self.maps[p].search(sample, records.get(self.renamed[p], ()), sources.get(p))
            if search is not None and search.request[1] - search.request[0] <= _WIDEST:
                searches[p, offset] = search
        logs = self.target.log_ranges(sorted({self.renamed[p] for p, _ in searches}))
        # What an open transaction hides cannot be read, and is no copy yet.
        ranges = {
            ReadRange(t, search.request[0], end)
            for (p, _), search in searches.items()
            if search.request[0] < (end := min(search.request[1], logs[t := self.renamed[p]].stable_end))
        }
        read = self._read(self.target, ranges)
        return {
            (p, offset): search.find(_within(read.get(self.renamed[p], ()), search.request))
            for (p, offset), search in searches.items()
        }

    def _compacted(self, topics: Collection[str]) -> set[str]:
        """Where copies may be gone one by one."""
        if self.source is None and self.samples is None:
            return set()
        found = self.target.topics()
        return {name for name in topics if name in found and "compact" in found[name].configs.get("cleanup.policy", "")}

    def _sampled(self, positions: Collection[Position]) -> Mapping[Position, PositionSample]:
        if self.source is None:
            return {} if self.samples is None else self.samples(positions)
        logs = self.source.log_ranges(sorted({p for p, _ in positions}))
        ranges = {
            ReadRange(p, start, end)
            for p, offset in positions
            if (start := max(logs[p].start, offset - _AROUND)) < (end := min(logs[p].stable_end, offset + _AROUND))
        }
        read = self._read(self.source, ranges)
        found: dict[Position, PositionSample] = {}
        for p, offset in positions:
            around = _within(read.get(p, ()), (offset - _AROUND, offset + _AROUND))
            at = sum(one.offset < offset for one in around)
            if at < len(around) or offset + _AROUND > logs[p].end == logs[p].stable_end:
                first = around[at] if at < len(around) else None
                found[p, offset] = PositionSample(p, offset, -1, first, around[at - 1] if at else None)
        return found

    @staticmethod
    def _read(reader: KafkaReader, ranges: Iterable[ReadRange]) -> dict[TopicPartition, list[Fingerprint]]:
        found: dict[TopicPartition, list[Fingerprint]] = {}
        for record in reader.read(_merged(ranges)):
            found.setdefault(record.partition, []).append(fingerprint(record))
        return found


def _merged(ranges: Iterable[ReadRange]) -> list[ReadRange]:
    merged: list[ReadRange] = []
    for one in sorted(ranges, key=lambda r: (r.partition, r.start)):
        if merged and merged[-1].partition == one.partition and one.start <= merged[-1].end:
            merged[-1] = ReadRange(one.partition, merged[-1].start, max(merged[-1].end, one.end))
        else:
            merged.append(one)
    return merged


def _within(records: Sequence[Fingerprint], bounds: tuple[int, int]) -> Sequence[Fingerprint]:
    begin, end = (bisect_left(records, bound, key=lambda one: one.offset) for bound in bounds)
    return records[begin:end]
