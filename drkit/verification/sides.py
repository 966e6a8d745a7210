"""Both sides of a mirror, alive, compared up to a cut: leftovers, counts, digests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from drkit.domain.checks import Check, compared, listed
from drkit.domain.comparison import (
    NEVER_SYNCED,
    CountPair,
    Rename,
    TailPair,
    Topics,
    compare_counts,
    compare_tails,
)
from drkit.domain.digests import Fingerprint, fingerprint
from drkit.domain.kafka import Record, TopicPartition
from drkit.domain.lag import Exactly, NotKnown, amount_text, total
from drkit.domain.lineage import Cut, PartitionCut
from drkit.domain.scope import NameFilter
from drkit.ports import KafkaReader, ReadRange
from drkit.verification.orphans import count_orphans
from drkit.verification.tails import Tail, read_tails

Starts = Mapping[TopicPartition, tuple[int, int]]
"""Per source partition, offsets of the same record in both logs: an offset sync, or the cut before."""


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """What is compared, and how much of it."""

    topics: NameFilter
    """The source's topics that are mirrored."""
    canary_topic: str
    rename: Rename = str
    """The name of a source's topic on the target."""
    never_synced: NameFilter = NEVER_SYNCED
    ignored_headers: frozenset[str] = field(default_factory=frozenset)
    tail_records: int = 1000
    """Per partition, compared record by record."""
    counted_offsets: int = 500_000
    """Per side, over all partitions: what would go beyond is not counted, and that is said."""


class BothSides:
    """Both sides, alive, at one cut, whose partitions are there on both (``shared``)."""

    def __init__(
        self, source: KafkaReader, target: KafkaReader, cut: Cut, target_topics: Topics, settings: CompareSettings
    ) -> None:
        self._source = source
        self._target = target
        self._settings = settings
        self._cut = cut
        configs = {name: topic.configs for name, topic in target_topics.items()}
        self._compacted = {name for name, own in configs.items() if "compact" in own.get("cleanup.policy", "")}
        self._own_time = {name for name, own in configs.items() if own.get("message.timestamp.type") == "LogAppendTime"}

    def old_side(self, removed: Sequence[TopicPartition]) -> Check:
        """Nothing on the old primary is above what was mirrored; ``removed``: it has these no more."""
        mirrored = {partition: ends.source_last for partition, ends in self._cut.items()}
        amounts, _ = count_orphans(self._source, mirrored, limit_offsets=self._settings.counted_offsets)
        left = [f"{partition} is no longer there" for partition in removed]
        left += [
            f"{partition}: {amount_text(amount)} records were never mirrored"
            for partition, amount in sorted(amounts.items())
            if amount != Exactly(0)
        ]
        check = compared(
            "old-side",
            left,
            "no record of the old primary is above the last mirrored one",
            of=f"{len(amounts) + len(removed)} partitions",
        )
        gone = [NotKnown(f"{partition} is no longer there") for partition in removed]
        return replace(check, lost=total([*amounts.values(), *gone]))

    def counts(self, starts: Starts) -> Check:
        """Data records on both sides between a common start and the cut."""
        ranges, left_out = self._count_ranges(starts)
        on_source = self._source.data_offsets([ours for ours, _ in ranges]) if ranges else {}
        on_target = self._target.data_offsets([theirs for _, theirs in ranges]) if ranges else {}
        counts = {
            ours.partition: CountPair(len(on_source.get(ours.partition, ())), len(on_target.get(theirs.partition, ())))
            for ours, theirs in ranges
        }
        return compare_counts(counts, left_out)

    def _count_ranges(self, starts: Starts) -> tuple[list[tuple[ReadRange, ReadRange]], list[str]]:
        rename = self._settings.rename
        logs = self._source.log_ranges(self._cut)
        copies = self._target.log_ranges([renamed(partition, rename) for partition in self._cut])
        ranges: list[tuple[ReadRange, ReadRange]] = []
        left_out: list[str] = []
        budget = self._settings.counted_offsets
        for partition, ends in sorted(self._cut.items()):
            copy = renamed(partition, rename)
            ours_from, theirs_from = starts.get(partition, (0, 0))
            ours = ReadRange(
                partition, ours_from, max(ours_from, (-1 if ends.source_last is None else ends.source_last) + 1)
            )
            theirs = ReadRange(copy, theirs_from, max(theirs_from, ends.target_end))
            width = max(ours.end - ours.start, theirs.end - theirs.start)
            if copy.topic in self._compacted:
                left_out.append("each side compacts on its own")
            elif logs[partition].stable_end < ours.end or copies[copy].stable_end < theirs.end:
                left_out.append("a transaction is open")
            elif logs[partition].start > ours.start or copies[copy].start > theirs.start:
                left_out.append("retention has removed records")
            elif width > budget:
                left_out.append("more records than are counted")
            else:
                budget -= width
                ranges.append((ours, theirs))
        return ranges, left_out

    def digests(self) -> Check:
        """The last records up to the cut, one by one."""
        rename, count = self._settings.rename, self._settings.tail_records
        ours = read_tails(
            self._source,
            {p: mirrored_end(ends) for p, ends in self._cut.items()},
            count,
            self._fingerprint_of(rename),
        )
        theirs = read_tails(
            self._target,
            {renamed(p, rename): ends.target_end for p, ends in self._cut.items()},
            count,
            self._fingerprint_of(str),
        )
        pairs = {p: self._pair(ours[p], theirs[renamed(p, rename)], renamed(p, rename).topic) for p in self._cut}
        check = compare_tails(pairs)
        own_time = sorted(self._own_time & {partition.topic for partition in theirs})
        if not own_time:
            return check
        note = f"{check.detail}; without timestamps for {listed(own_time)}, which has times of its own"
        return Check(check.name, check.outcome, note, check.items)

    def _pair(self, ours: Tail[Fingerprint], theirs: Tail[Fingerprint], topic: str) -> TailPair:
        return TailPair(
            ours.items,
            theirs.items,
            complete=all(tail.reached_start and tail.low == 0 for tail in (ours, theirs)),
            is_compacted=topic in self._compacted,
        )

    def _fingerprint_of(self, rename: Rename) -> Callable[[Record], Fingerprint]:
        ignored = self._settings.ignored_headers
        timeless = {p.topic for p in self._cut if rename(p.topic) in self._own_time} | self._own_time

        def convert(record: Record) -> Fingerprint:
            return fingerprint(record, with_timestamp=record.partition.topic not in timeless, ignored_headers=ignored)

        return convert


def all_partitions(topics: Topics) -> frozenset[TopicPartition]:
    """Every partition of these topics."""
    return frozenset(partition for topic in topics.values() for partition in topic.topic_partitions)


def shared(cut: Cut, source: Topics, target: Topics, rename: Rename) -> Cut:
    """The part of a cut that is on both sides; what is missing on one is another check's difference."""
    ours, theirs = all_partitions(source), all_partitions(target)
    return {p: ends for p, ends in cut.items() if p in ours and renamed(p, rename) in theirs}


def renamed(partition: TopicPartition, rename: Rename) -> TopicPartition:
    """The copy of a source's partition on the target."""
    return TopicPartition(rename(partition.topic), partition.partition)


def mirrored_end(cut: PartitionCut) -> int:
    """The source offset after the last mirrored record; 0 if nothing was mirrored."""
    return 0 if cut.source_last is None else cut.source_last + 1
