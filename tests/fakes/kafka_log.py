"""Partitions in memory: records, transactions with their markers, the last stable offset, a log start that moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from drkit.domain.kafka import LogRange, Record, TopicPartition


class Fate(Enum):
    """How a transaction ended."""

    OPEN = auto()
    COMMITTED = auto()
    ABORTED = auto()


@dataclass
class FakeTransaction:
    """Records of one producer in several partitions. Ending it puts a marker into each of their logs."""

    fate: Fate = Fate.OPEN
    logs: list[FakeLog] = field(default_factory=list)

    def commit(self) -> None:
        """End it; its records are there for everybody."""
        self._end(Fate.COMMITTED)

    def abort(self) -> None:
        """End it; its records were never there for a committed read."""
        self._end(Fate.ABORTED)

    def _end(self, fate: Fate) -> None:
        assert self.fate is Fate.OPEN
        self.fate = fate
        for log in self.logs:
            log.entries.append(Entry(None, None))


@dataclass(frozen=True)
class Entry:
    """What stands at an offset: a record, or None for a marker and for what compaction removed."""

    record: Record | None
    transaction: FakeTransaction | None

    @property
    def is_open(self) -> bool:
        return self.transaction is not None and self.transaction.fate is Fate.OPEN

    @property
    def is_committed(self) -> bool:
        return self.transaction is None or self.transaction.fate is Fate.COMMITTED


@dataclass
class FakeLog:
    """One partition."""

    partition: TopicPartition
    start: int = 0
    entries: list[Entry] = field(default_factory=list)

    @property
    def end(self) -> int:
        return self.start + len(self.entries)

    @property
    def stable_end(self) -> int:
        """Where the first open transaction begins, or the end."""
        return next((self.start + place for place, entry in enumerate(self.entries) if entry.is_open), self.end)

    @property
    def range(self) -> LogRange:
        return LogRange(self.start, self.end, self.stable_end)

    def compact_away(self, *offsets: int) -> None:
        """The log cleaner removes these records; their offsets stay."""
        for offset in offsets:
            self.entries[offset - self.start] = Entry(None, None)

    def append(
        self,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: tuple[tuple[str, bytes | None], ...] = (),
        at_ms: int = 0,
        transaction: FakeTransaction | None = None,
    ) -> int:
        """Write a record; its offset."""
        offset = self.end
        self.entries.append(Entry(Record(self.partition, offset, at_ms, key, value, headers), transaction))
        if transaction is not None and self not in transaction.logs:
            transaction.logs.append(self)
        return offset

    def punch(self, offset: int) -> None:
        """Make a hole, as compaction does."""
        self.entries[offset - self.start] = Entry(None, None)

    def delete_before(self, offset: int) -> None:
        """Move the log start, as retention does."""
        del self.entries[: offset - self.start]
        self.start = offset

    def read(self, start: int, end: int, *, committed: bool) -> Iterator[Record]:
        """Data records of the range, as far as the log goes."""
        limit = min(end, self.stable_end if committed else self.end)
        for entry in self.entries[max(start, self.start) - self.start : max(limit, self.start) - self.start]:
            if entry.record is not None and (entry.is_committed or not committed):
                yield entry.record
