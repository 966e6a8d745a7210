"""Looks on the target for the very record that a group is at, where counting does not decide."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from drkit.domain.digests import Fingerprint
from drkit.domain.kafka import TopicPartition
from drkit.domain.offsets import Bounded, OffsetMap, Verdict
from drkit.domain.record_match import Search
from drkit.domain.samples import PositionSample, SampleProvider
from drkit.ports import KafkaReader, ReadRange
from drkit.verification.record_marks import Position, read_fingerprints, sample_positions, where_alone, within

_WIDEST = 20_000
"""A bracket of more target offsets is not read: it would take longer than reading the records again."""

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
        searches: dict[Position, Search] = {}
        for (p, offset), sample in self._sampled(undecided).items():
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
        read = read_fingerprints(self.target, ranges)
        targets = {
            (p, offset): within(read.get(self.renamed[p], ()), search.request)
            for (p, offset), search in searches.items()
        }
        found: dict[Position, Verdict] = {one: search.find(targets[one]) for one, search in searches.items()}
        left = {one: searches[one] for one, verdict in found.items() if isinstance(verdict, Bounded)}
        return found | self._told_by_source(left, targets)

    def _told_by_source(
        self, searches: Mapping[Position, Search], targets: Mapping[Position, Sequence[Fingerprint]]
    ) -> dict[Position, Verdict]:
        """What the source tells, while it is alive, of records that look the same."""
        if self.source is None:
            return {}
        wanted = {
            one: (first, alone)
            for one, search in searches.items()
            if (first := search.sample.first) is not None
            and (alone := search.to_be_known(targets[one])) is not None
            and alone.end - alone.start <= _WIDEST
        }
        found: dict[Position, Verdict] = {}
        for one, alone in (where_alone(self.source, wanted) if wanted else {}).items():
            search = searches[one]
            found[one] = replace(search, sample=replace(search.sample, alone=alone)).find(targets[one])
        return found

    def _sampled(self, positions: Collection[Position]) -> Mapping[Position, PositionSample]:
        if self.source is None:
            return {} if self.samples is None else self.samples(positions)
        return sample_positions(self.source, positions, -1)
