"""When the source connector's tasks started: Connect's status topic, held against the times of the offset syncs.

Connect writes ``RUNNING`` when a task starts, before the task reads its first record. The topic is compacted: where
records are missing from it (offsets skip), earlier starts may be missing too.

Key ``status-task-CONNECTOR-NUMBER``, value ``{"state": ..., "worker_id": ..., "generation": ...}``
(``KafkaStatusBackingStore``). A tombstone: the task is gone.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field

from drkit.domain.anchors import Anchors
from drkit.domain.kafka import Record

_CLOCKS_APART_MS = 1000
"""Statuses and syncs may be written by workers whose clocks differ so much."""


@dataclass(slots=True)
class TaskStarts:
    """Starts of one connector's tasks, by time (ms since the epoch).

    ``known_since_ms``: no start after it is missing; -1 if none is missing at all, None while nothing was read.
    """

    connector: str
    times_ms: list[int] = field(default_factory=list)
    known_since_ms: int | None = None
    _next: dict[int, int] = field(default_factory=dict)

    def take(self, records: Iterable[Record]) -> None:
        """Add what is new in the status topic, in order per partition."""
        for record in records:
            place = record.partition.partition
            if record.offset > self._next.get(place, 0):
                self.known_since_ms = max(self.known_since_ms or -1, record.timestamp_ms + _CLOCKS_APART_MS)
            elif self.known_since_ms is None:
                self.known_since_ms = -1
            self._next[place] = record.offset + 1
            if self._is_start(record):
                insort(self.times_ms, record.timestamp_ms)

    def number(self, after_ms: int, before_ms: int | None = None) -> int:
        """How many tasks may have started between two moments (None: now), as far as clocks agree."""
        begin = bisect_left(self.times_ms, after_ms - _CLOCKS_APART_MS)
        return (
            len(self.times_ms) if before_ms is None else bisect_right(self.times_ms, before_ms + _CLOCKS_APART_MS)
        ) - begin

    def _is_start(self, record: Record) -> bool:
        prefix = f"status-task-{self.connector}-"
        key = (record.key or b"").decode(errors="replace")
        if record.value is None or not key.startswith(prefix) or not key[len(prefix) :].isdigit():
            return False
        try:
            return bool(json.loads(record.value).get("state") == "RUNNING")
        except (ValueError, AttributeError):
            # Not a status that Connect writes: it may hide one.
            return True


@dataclass(slots=True)
class Folding:
    """The syncs of one partition, folded together with the starts between them. ``last_ms``: time of the last sync."""

    anchors: Anchors = field(default_factory=Anchors)
    last_ms: int = -1

    def is_rewind(self, up: int, down: int) -> bool:
        """Whether this sync says that records are copied that lie below what was copied before."""
        known = self.anchors
        return len(known) > 0 and up <= known.upstream[-1] and down > known.downstream[-1]

    def renewed(self) -> Folding:
        """For the syncs of another topic of the same name: nothing of the old map, but where its copies end."""
        anchors = Anchors()
        anchors.origin = self.anchors.downstream[-1] if len(self.anchors) else self.anchors.origin
        return Folding(anchors, self.last_ms)

    def add(self, up: int, down: int, at_ms: int, starts: TaskStarts | None) -> None:
        """The next sync. ``starts``: read after it, and only given where the producer is idempotent."""
        if starts is not None and starts.known_since_ms is not None and self.last_ms >= starts.known_since_ms:
            self.anchors.know_starts()
            for _ in range(starts.number(self.last_ms, at_ms)):
                self.anchors.add_start()
        self.anchors.extend([(up, down)])
        self.last_ms = max(self.last_ms, at_ms)

    def extend(self, pairs: Iterable[tuple[int, int]]) -> None:
        """The next syncs, where nothing is known of starts."""
        self.anchors.extend(pairs)

    def finish(self, starts: TaskStarts | None) -> None:
        """Every sync so far was added: what started since was not followed by one."""
        if starts is not None and starts.number(self.last_ms):
            self.anchors.add_start()
