"""Reads what the target holds where a mirror was restarted, and tells repeats from records by it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from drkit.domain.kafka import TopicPartition
from drkit.domain.offsets import OffsetMap, Verdict
from drkit.domain.repeats import Repeats
from drkit.ports import KafkaReader, ReadRange
from drkit.verification.record_marks import Position, read_fingerprints, within

_WIDEST = 20_000
"""A part of more target offsets is not read: it would take longer than reading the records again."""


@dataclass(frozen=True, slots=True)
class RepeatSearch:
    """Needs the target alone: the source may be gone, and nobody need have watched it."""

    target: KafkaReader
    maps: Mapping[TopicPartition, OffsetMap]
    renamed: Mapping[TopicPartition, TopicPartition]

    def decide(self, undecided: Collection[Position]) -> dict[Position, Verdict]:
        """The verdicts of those positions that the target's records show."""
        parts: dict[tuple[TopicPartition, tuple[int, int]], Repeats] = {}
        wanted: dict[tuple[TopicPartition, tuple[int, int]], list[Position]] = {}
        for p, offset in undecided:
            part = self.maps[p].repeats(offset)
            if part is not None and part.request[1] - part.request[0] <= _WIDEST:
                parts.setdefault((p, part.request), part)
                wanted.setdefault((p, part.request), []).append((p, offset))
        read = read_fingerprints(self.target, {ReadRange(self.renamed[p], *request) for p, request in parts})
        found: dict[Position, Verdict] = {}
        for (p, request), part in parts.items():
            positions = part.told_apart(within(read.get(self.renamed[p], ()), request))
            if positions is not None:
                found |= {one: positions.of(one[1]) for one in wanted[p, request]}
        return found
