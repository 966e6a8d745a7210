"""Holds a consumer group's history against what was written. The words are those of ``drkit.domain.ledger``."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from drkit.domain.ledger import (
    Committed,
    Drained,
    GroupEvent,
    Origin,
    Outcome,
    Processed,
    Sightings,
    Torn,
    Writes,
    WrittenLog,
    ids_of_run,
    lane_of,
)


@dataclass(slots=True)
class GroupFindings:
    """What one group's history shows.

    ``foreign`` counts records that no writer of this run has written, ``torn`` entries that were half written.
    ``drained_at`` is the side on which the group had read everything; None if it had not, or has read more since.
    ``lost`` holds indexes into the logs of ``Writes``.
    """

    topics: frozenset[str]
    processed: int = 0
    processed_at: dict[str, int] = field(default_factory=dict)
    duplicates: Sightings = field(default_factory=Sightings)
    replayed: Sightings = field(default_factory=Sightings)
    replayed_records: set[int] = field(default_factory=set)
    out_of_order: Sightings = field(default_factory=Sightings)
    unacknowledged: dict[Outcome, int] = field(default_factory=dict)
    foreign: int = 0
    torn: int = 0
    drained_at: str | None = None
    lost: dict[Origin, list[int]] = field(default_factory=dict)
    pending: int = 0

    @property
    def lost_records(self) -> int:
        """How many records this group lost."""
        return sum(map(len, self.lost.values()))


def judge_group(topics: Collection[str], events: Iterable[GroupEvent], writes: Writes) -> GroupFindings:
    """Hold a group's history, in order, against what was written to the topics that it subscribes to."""
    history = _History(GroupFindings(frozenset(topics)), writes)
    for event in events:
        match event:
            case Processed():
                history.process(event)
            case Committed():
                history.commit(event)
            case Drained():
                history.found.drained_at = event.region
            case Torn():
                history.found.torn += 1
    history.conclude()
    return history.found


class _History:
    """One group's history so far."""

    def __init__(self, found: GroupFindings, writes: Writes) -> None:
        self.found = found
        self._writes = writes
        self._ids = ids_of_run(writes.run)
        self._seen: set[int] = set()
        self._committed: set[int] = set()
        self._uncommitted: dict[Origin, list[Processed]] = {}
        self._newest: dict[int, int] = {}

    def process(self, event: Processed) -> None:
        """Note a batch."""
        event = self._own(event)
        if not event.records:
            return
        found, seen = self.found, self._seen
        found.drained_at = None
        found.processed += len(event.records)
        region = event.origin.region
        found.processed_at[region] = found.processed_at.get(region, 0) + len(event.records)
        self._uncommitted.setdefault(event.origin, []).append(event)
        before = seen.intersection(event.records)
        expected = len(seen) + len(event.records)
        seen.update(event.records)
        if len(seen) == expected:
            self._order(event, event.records)
        else:
            self._order(event, self._note_duplicates(event, before))

    def _own(self, event: Processed) -> Processed:
        """The event without records that are none of this run's: of an earlier run, or of somebody else."""
        ids = self._ids
        if not event.records or (min(event.records) in ids and max(event.records) in ids):
            return event
        own = [pair for pair in zip(event.records, event.offsets, strict=True) if pair[0] in ids]
        self.found.foreign += len(event.records) - len(own)
        return Processed(event.origin, [record for record, _ in own], [offset for _, offset in own], event.at_ms)

    def _note_duplicates(self, event: Processed, before: set[int]) -> list[int]:
        """The batch's records that are new."""
        fresh: dict[int, None] = {}
        for record, offset in zip(event.records, event.offsets, strict=True):
            if record not in before and record not in fresh:
                fresh[record] = None
                continue
            self.found.duplicates.add(record, event.origin, offset)
            if record in self._committed:
                self.found.replayed.add(record, event.origin, offset)
                self.found.replayed_records.add(record)
        return list(fresh)

    def _order(self, event: Processed, fresh: Sequence[int]) -> None:
        newest = self._newest
        for record in fresh:
            lane = lane_of(record)
            if record >= newest.get(lane, 0):
                newest[lane] = record
            elif self._writes.is_acknowledged(record):
                offset = event.offsets[list(event.records).index(record)]
                self.found.out_of_order.add(record, event.origin, offset)

    def commit(self, event: Committed) -> None:
        """Everything that was processed there before the position is committed."""
        waiting = self._uncommitted.pop(event.origin, [])
        for batch in waiting:
            if batch.offsets[-1] < event.position:
                self._committed.update(batch.records)
                continue
            passed = bisect_left(batch.offsets, event.position)
            self._committed.update(batch.records[:passed])
            rest = Processed(batch.origin, batch.records[passed:], batch.offsets[passed:], batch.at_ms)
            self._uncommitted.setdefault(event.origin, []).append(rest)

    def conclude(self) -> None:
        """Tell lost from pending, at the end of the history."""
        found, seen = self.found, self._seen
        found.unacknowledged = {
            outcome: len(seen & records) for outcome, records in self._writes.unacknowledged.items()
        }
        own = {origin: log for origin, log in self._writes.logs.items() if origin.topic in found.topics}
        reached = {origin: _last_processed(log, seen) for origin, log in own.items()}
        for origin, last in reached.items():
            missing = [index for index, record in enumerate(own[origin].records) if record not in seen]
            if missing:
                lost = missing if found.drained_at else self._passed_by(origin, last, missing, reached)
                found.pending += len(missing) - len(lost)
                if lost:
                    found.lost[origin] = lost

    def _passed_by(self, origin: Origin, last: int, missing: Sequence[int], reached: Mapping[Origin, int]) -> list[int]:
        """Which of the missing records the group will never come to.

        Those before a record that it has processed; and those acknowledged before a record that was written on
        another side and that it has processed: clients are on one side at a time.
        """
        since_ms = max(
            (
                self._writes.logs[other].times_ms[index]
                for other, index in reached.items()
                if other[1:] == origin[1:] and other != origin and index >= 0
            ),
            default=-1,
        )
        times_ms = self._writes.logs[origin].times_ms
        return [index for index in missing if index < last or times_ms[index] < since_ms]


def _last_processed(log: WrittenLog, seen: set[int]) -> int:
    """The index of the last record that was processed; -1 if none was."""
    return next((index for index in reversed(range(len(log.records))) if log.records[index] in seen), -1)
