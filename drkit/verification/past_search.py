"""Reads what the target holds around restarts of a mirror that counting does not show to have got past them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from drkit.domain.kafka import TopicPartition
from drkit.domain.offsets import OffsetMap
from drkit.ports import KafkaReader, ReadRange
from drkit.verification.record_marks import read_fingerprints

_WIDEST = 20_000
"""More target offsets of a partition are not read: it would take longer than reading the records again."""


@dataclass(frozen=True, slots=True)
class PastSearch:
    """Needs the target alone: the source may be gone, and nobody need have watched it."""

    target: KafkaReader
    maps: Mapping[TopicPartition, OffsetMap]
    renamed: Mapping[TopicPartition, TopicPartition]

    def decide(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, OffsetMap]:
        """The maps of those partitions whose mirror has got past what it had copied, as they are with that known."""
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
