"""Reads what the target holds where a mirror was restarted: whether it has got past that, and what are repeats."""

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

    def past(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, OffsetMap]:
        """The maps of those partitions whose mirror has got past what it had copied, as they are with that known.

        Asked where counting does not show it.
        """
        proofs = {p: proof for p in partitions if (proof := self.maps[p].proof) is not None}
        proofs = {p: proof for p, proof in proofs.items() if proof.offsets <= _WIDEST}
        if not proofs:
            return {}
        read = read_fingerprints(
            self.target,
            [
                ReadRange(self.renamed[p], start, end)
                for p, proof in proofs.items()
                for start, end in (*proof.intervals, (proof.last, proof.last + 1))
            ],
        )
        # What retention deleted meanwhile was not seen.
        logs = self.target.log_ranges([self.renamed[p] for p in proofs])
        return {
            p: self.maps[p].once_past()
            for p, proof in proofs.items()
            if logs[self.renamed[p]].start <= proof.intervals[0][0] and proof.holds(read.get(self.renamed[p], ()))
        }

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
