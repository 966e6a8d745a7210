"""Reads the evidence for offset translation on the target, and translates groups' positions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from drkit.domain.anchors import Anchors
from drkit.domain.kafka import GroupOffsets, LogRange, TopicPartition
from drkit.domain.lag import NO_RECORD, Amount, AtMost, Exactly
from drkit.domain.offsets import Bounded, OffsetMap, Tail, TargetLog, Unavailable, Verdict
from drkit.domain.positions import GroupPosition
from drkit.domain.samples import SampleProvider
from drkit.ports import KafkaReader, ReadRange
from drkit.verification.counted import CountedLogs
from drkit.verification.mirror_evidence import SyncHistory
from drkit.verification.record_search import RecordSearch
from drkit.verification.repeat_search import RepeatSearch

_TAIL_RECORDS = 200
"""How far below a log end the last data record is looked for first; then ten times as far, and so on."""

_MOST_COUNTED = 100_000
"""Wider ranges are not counted: their number of offsets bounds their records."""

Floors = Mapping[TopicPartition, Collection[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class Translator:
    """Translates committed offsets of a flow's source into positions on its target. Reads the target only.

    ``source``: the source's reader while it is alive. ``rename``: source topic to target topic. ``mirrored``: last
    mirrored upstream offset per source partition. ``samples``: what was seen of the source while it was alive.
    ``floors``: MM2's checkpoints, asked for where a partition has no offset syncs. ``compacted``: the source topics
    that are compacted at either end. ``counted``: what earlier translations have read of the target's logs.
    """

    target: KafkaReader
    history: SyncHistory
    mirrored: Callable[[], Mapping[TopicPartition, int]]
    rename: Callable[[str], str] = str
    source: KafkaReader | None = None
    exactly_once: bool = False
    samples: SampleProvider | None = None
    floors: Callable[[], Floors] | None = None
    compacted: Callable[[], Collection[str]] = tuple
    counted: CountedLogs | None = None

    def prepare(self, committed: GroupOffsets) -> None:
        """Read all that these positions need now, so that a translation later reads only what is new."""
        self.translate(committed)

    def translate(
        self,
        committed: GroupOffsets,
        *,
        drained_to: Mapping[TopicPartition, int] | None = None,
        is_final: bool = False,
    ) -> list[GroupPosition]:
        """One position per group and partition.

        ``drained_to``: source log ends up to which nothing is left to mirror, where that was proved. ``is_final``: the
        mirror has stopped, so that how far it came cannot change.
        """
        partitions = sorted({p for offsets in committed.values() for p in offsets})
        renamed = {p: TopicPartition(self.rename(p.topic), p.partition) for p in partitions}
        known = {t.name: len(t.partitions) for t in self.target.describe_topics().values()}
        present = {p: t for p, t in renamed.items() if t.partition < known.get(t.topic, 0)}
        maps = self._maps(present, drained_to or {}, is_final=is_final)
        return self._positions(committed, renamed, maps)

    def _maps(
        self,
        present: Mapping[TopicPartition, TopicPartition],
        drained_to: Mapping[TopicPartition, int],
        *,
        is_final: bool,
    ) -> dict[TopicPartition, OffsetMap]:
        # The log ends are read last: what MM2 says of copies is about what is below them.
        mirrored, history, compacted = self.mirrored(), self.history.read(), self.compacted()
        floors = self.floors() if self.floors is not None and any(not history.get(p) for p in present) else {}
        logs = self.target.log_ranges(list(present.values()))
        last_records = self._last_records({t: logs[t] for t in present.values()})
        maps: dict[TopicPartition, OffsetMap] = {}
        for p, t in present.items():
            is_compacted = p.topic in compacted
            # What an open transaction holds may still commit, and Connect's account is not of before or after it.
            is_pair = is_final and logs[t].is_settled
            tail = Tail(mirrored.get(p), last_records[t], drained_to.get(p), is_pair, in_order=False)
            maps[p] = OffsetMap(
                history.get(p) or Anchors(),
                TargetLog(logs[t].start, logs[t].end),
                tail,
                exactly_once=self.exactly_once,
                # What was no hole when it was copied may be one now, and what repeats may be fewer.
                hole_free=False if is_compacted else None,
                is_compacted=is_compacted,
                checkpoints=floors.get(p, ()),
            )
        return maps

    def _positions(
        self,
        committed: GroupOffsets,
        renamed: Mapping[TopicPartition, TopicPartition],
        maps: Mapping[TopicPartition, OffsetMap],
    ) -> list[GroupPosition]:
        wanted = [
            (group, p, offset) for group, offsets in sorted(committed.items()) for p, offset in sorted(offsets.items())
        ]
        distinct = {(p, offset) for _, p, offset in wanted}
        verdicts, missing = self._verdicts(distinct, renamed, maps), self._never_mirrored(distinct, maps)
        return [
            GroupPosition(group, p, renamed[p], u, verdicts[p, u], never_mirrored=missing.get((p, u), NO_RECORD))
            for group, p, u in wanted
        ]

    def _never_mirrored(
        self, positions: Collection[tuple[TopicPartition, int]], maps: Mapping[TopicPartition, OffsetMap]
    ) -> dict[tuple[TopicPartition, int], Amount]:
        """Records of the source at or above a position, and below the first that was mirrored.

        Only the whole history says which one was the first: a flow may have begun at the latest record.
        """
        if self.source is None or not self.history.is_whole:
            return {}
        firsts = {p: first for p, one in maps.items() if (first := one.first_mirrored) is not None}
        below = [(p, offset) for p, offset in positions if offset < firsts.get(p, 0)]
        if not below:
            return {}
        logs = self.source.log_ranges(sorted({p for p, _ in below}))
        ranges = {(p, u): ReadRange(p, max(logs[p].start, u), firsts[p]) for p, u in below}
        counted = [one for one in set(ranges.values()) if one.start < one.end <= one.start + _MOST_COUNTED]
        records = self.source.data_offsets(sorted(counted, key=lambda r: (r.partition, r.start)))
        found: dict[tuple[TopicPartition, int], Amount] = {}
        for position, one in ranges.items():
            if one in counted:
                offsets = records.get(one.partition, ())
                found[position] = Exactly(bisect_left(offsets, one.end) - bisect_left(offsets, one.start))
            elif one.start < one.end:
                found[position] = AtMost(one.end - one.start)
        return found

    def _verdicts(
        self,
        positions: Collection[tuple[TopicPartition, int]],
        renamed: Mapping[TopicPartition, TopicPartition],
        maps: Mapping[TopicPartition, OffsetMap],
    ) -> dict[tuple[TopicPartition, int], Verdict]:
        """Counted on the target; what that leaves open is counted on the source, and then the records decide.

        Of these first the few that may show that the mirror has got past its restarts, so that all else is known
        better; last of all the target's repeats, of which most are read.
        """
        found: dict[tuple[TopicPartition, int], Verdict] = {
            (p, offset): Unavailable("the target has no such partition") for p, offset in positions if p not in maps
        }
        known = [(p, offset) for p, offset in positions if p in maps]
        requests = {
            ReadRange(renamed[p], *request)
            for p, offset in known
            if (request := maps[p].request(offset)) is not None and request[0] < request[1]
        }
        counted = self.target if self.counted is None else self.counted
        records = counted.data_offsets(sorted(requests, key=lambda r: (r.partition, r.start)))
        sources: Mapping[TopicPartition, Sequence[int]] = {}
        for p, offset in known:
            found[p, offset] = maps[p].translate(offset, records.get(renamed[p], ()))
        undecided = [one for one in known if isinstance(found[one], Bounded)]
        repeats = RepeatSearch(self.target, maps, renamed)
        if past := repeats.past(sorted({p for p, _ in undecided})):
            found |= self._verdicts([one for one in undecided if one[0] in past], renamed, past)
            undecided = [one for one in undecided if one[0] not in past]
        if undecided:
            sources = self._source_records(undecided, maps)
            for p, offset in undecided:
                found[p, offset] = maps[p].translate(offset, records.get(renamed[p], ()), sources.get(p))
        if undecided := [one for one in undecided if isinstance(found[one], Bounded)]:
            search = RecordSearch(self.target, self.source, self.samples, maps, renamed)
            found.update(search.decide(undecided, records, sources))
        if undecided := [one for one in undecided if isinstance(found[one], Bounded)]:
            found.update(repeats.decide(undecided))
        return found

    def _source_records(
        self, undecided: Collection[tuple[TopicPartition, int]], maps: Mapping[TopicPartition, OffsetMap]
    ) -> Mapping[TopicPartition, Sequence[int]]:
        """Data offsets of the source around the positions that the target alone does not decide; none if it is gone."""
        if self.source is None or not undecided:
            return {}
        logs = self.source.log_ranges(sorted({p for p, _ in undecided}))
        ranges = {
            ReadRange(p, start, request[1])
            for p, offset in undecided
            if (request := maps[p].source_request(offset)) is not None
            and (start := max(request[0], logs[p].start)) < request[1]
        }
        return self.source.data_offsets(sorted(ranges, key=lambda r: (r.partition, r.start)))

    def _last_records(self, logs: Mapping[TopicPartition, LogRange]) -> dict[TopicPartition, int | None]:
        found: dict[TopicPartition, int | None] = dict.fromkeys(logs)
        depth = _TAIL_RECORDS
        missing = {p for p, log in logs.items() if log.end > log.start}
        while missing:
            ranges = [ReadRange(p, max(logs[p].start, logs[p].stable_end - depth), logs[p].stable_end) for p in missing]
            for p, offsets in self.target.data_offsets(ranges).items():
                if offsets:
                    found[p] = offsets[-1]
            missing = {p for p in missing if found[p] is None and logs[p].stable_end - depth > logs[p].start}
            depth *= 10
        return found
