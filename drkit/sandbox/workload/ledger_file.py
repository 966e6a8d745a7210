"""The ledger's files: one per writer and one per group, only ever appended to, little-endian.

What is written in one call is one batch, so that the end of a process, however it comes, costs at most the batch that
was being written. A torn one is cut off when the file is opened again, and an entry in its place says so; until then
readers tell that it is there.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from drkit.domain.ledger import Committed, Drained, GroupEvent, Origin, Outcome, Processed, Torn, Writes

_OUTCOME: Final = struct.Struct("<BBHHQqq")
"""A writer's entry: outcome, region, topic, partition, record, offset, time in ms."""
_BEGUN, _TORN_OUTCOME = 255, 254
"""In the place of an outcome: a process has opened the file; it found a torn entry at its end."""

_GROUP: Final = struct.Struct("<BBHHIqq")
"""A group's entry: kind, region, topic, partition, records, first offset or position, time in ms."""
_PROCESSED, _COMMITTED, _DRAINED, _TORN = range(4)
_RECORD_BYTES: Final = 8
_DELTA_BYTES: Final = 4
RECORD: Final = struct.Struct("<Q")
"""A record's id, as it stands at the beginning of its value and in the ledger."""


_CLOCK_MS: Final = time.time_ns() // 1_000_000 - time.monotonic_ns() // 1_000_000


def now_ms() -> int:
    """Milliseconds since the epoch, by a clock that does not jump while this process lives."""
    return _CLOCK_MS + time.monotonic_ns() // 1_000_000


class Names(NamedTuple):
    """What the files' numbers stand for."""

    regions: Sequence[str]
    topics: Sequence[str]

    def origin(self, region: int, topic: int, partition: int) -> Origin:
        """The partition that an entry speaks of."""
        return Origin(self.regions[region], self.topics[topic], partition)


class _File:
    """Appends whole entries. Safe to use from several threads. ``torn``: there was a torn entry, which is cut off."""

    def __init__(self, path: Path, names: Names, whole: int) -> None:
        self._regions = {region: number for number, region in enumerate(names.regions)}
        self._topics = {topic: number for number, topic in enumerate(names.topics)}
        self._lock = threading.Lock()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self.torn = os.fstat(self._descriptor).st_size > whole
        os.ftruncate(self._descriptor, whole)

    def _append(self, entry: bytes) -> None:
        with self._lock:
            written = 0
            while written < len(entry):
                written += os.write(self._descriptor, entry[written:])

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class WriterFile(_File):
    """A writer's file. Entries wait in memory until ``flush``.

    ``openings``: how many processes have had it, this one among them. Each gives its records other sequences.
    """

    def __init__(self, path: Path, names: Names) -> None:
        content = _content(path)
        whole = len(content) - len(content) % _OUTCOME.size
        self.openings = 1 + sum(entry[0] == _BEGUN for entry in _OUTCOME.iter_unpack(content[:whole]))
        super().__init__(path, names, whole)
        self._waiting: list[bytes] = []
        if self.torn:
            self._append(_OUTCOME.pack(_TORN_OUTCOME, 0, 0, 0, 0, -1, now_ms()))
        self._append(_OUTCOME.pack(_BEGUN, 0, 0, 0, 0, -1, now_ms()))

    def acknowledged(self, record: int, origin: Origin, offset: int, at_ms: int) -> None:
        """The broker acknowledged the record."""
        entry = (self._regions[origin.region], self._topics[origin.topic], origin.partition, record, offset, at_ms)
        self._waiting.append(_OUTCOME.pack(Outcome.ACKNOWLEDGED, *entry))

    def ended_as(self, outcome: Outcome, record: int, at_ms: int) -> None:
        """The record ended otherwise: it has no certain place."""
        self._waiting.append(_OUTCOME.pack(outcome, 0, 0, 0, record, -1, at_ms))

    def flush(self) -> None:
        """Hand everything to the system."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._append(b"".join(waiting))


class GroupFile(_File):
    """A group's file. Every entry is handed to the system at once."""

    def __init__(self, path: Path, names: Names) -> None:
        super().__init__(path, names, follow_group(path, GroupProgress()).end)
        if self.torn:
            self._append(_GROUP.pack(_TORN, 0, 0, 0, 0, 0, now_ms()))

    def processed(self, batches: Mapping[Origin, tuple[Sequence[bytes], Sequence[int]]], at_ms: int) -> None:
        """The group processed these records: ids as they stand in the values, offsets in rising order."""
        entries = []
        for (region, topic, partition), (records, offsets) in batches.items():
            head = (self._regions[region], self._topics[topic], partition, len(records), offsets[0], at_ms)
            deltas = _little_endian(array("I", [offset - offsets[0] for offset in offsets]))
            entries += [_GROUP.pack(_PROCESSED, *head), *records, deltas.tobytes()]
        self._append(b"".join(entries))

    def committed(self, positions: Mapping[Origin, int], at_ms: int) -> None:
        """The broker accepted these positions."""
        heads = (
            (self._regions[region], self._topics[topic], partition, 0, position, at_ms)
            for (region, topic, partition), position in positions.items()
        )
        self._append(b"".join(_GROUP.pack(_COMMITTED, *head) for head in heads))

    def drained(self, region: str, at_ms: int) -> None:
        """Nothing is written any more, the service is there, and the group has read and committed all of it."""
        self._append(_GROUP.pack(_DRAINED, self._regions[region], 0, 0, 0, 0, at_ms))


def read_writer(path: Path, names: Names, writes: Writes) -> None:
    """Add a writer's entries to what is known of the run's writes."""
    content = _content(path)
    whole = memoryview(content)[: len(content) - len(content) % _OUTCOME.size]
    writes.torn += len(whole) < len(content)
    adding: dict[tuple[int, int, int], Callable[[int, int, int], None]] = {}
    for outcome, region, topic, partition, record, offset, at_ms in _OUTCOME.iter_unpack(whole):
        if outcome == Outcome.ACKNOWLEDGED:
            number = (region, topic, partition)
            if number not in adding:
                adding[number] = writes.log(names.origin(*number)).add
            adding[number](record, offset, at_ms)
        elif outcome == _TORN_OUTCOME:
            writes.torn += 1
        elif outcome != _BEGUN:
            writes.unacknowledged[Outcome(outcome)].add(record)


class GroupProgress(NamedTuple):
    """How far a group is; ``end`` is the position in its file up to which this was read.

    ``drained_at``: the side on which it has read everything; None if it has not, or has read more since.
    """

    records: int = 0
    drained_at: int | None = None
    end: int = 0


def follow_group(path: Path, before: GroupProgress) -> GroupProgress:
    """How far the group is now."""
    progress = before
    for (kind, region, _, _, records, _, _), end in _walk(_content(path, before.end)):
        drained_at = progress.drained_at
        if kind in (_DRAINED, _PROCESSED):
            drained_at = region if kind == _DRAINED else None
        progress = GroupProgress(progress.records + records, drained_at, before.end + end)
    return progress


def read_group(path: Path, names: Names) -> Iterator[GroupEvent]:
    """A group's events, in order."""
    content = _content(path)
    begun = 0
    for (kind, region, topic, partition, records, offset, at_ms), end in _walk(content):
        if kind == _PROCESSED:
            ids = array("Q", content[begun + _GROUP.size : begun + _GROUP.size + _RECORD_BYTES * records])
            deltas = _little_endian(array("I", content[end - _DELTA_BYTES * records : end]))
            offsets = array("q", [offset + delta for delta in deltas])
            yield Processed(names.origin(region, topic, partition), _little_endian(ids), offsets, at_ms)
        elif kind == _COMMITTED:
            yield Committed(names.origin(region, topic, partition), offset)
        else:
            yield Drained(names.regions[region]) if kind == _DRAINED else Torn()
        begun = end
    if begun < len(content):
        yield Torn()


def _content(path: Path, start: int = 0) -> bytes:
    """The file from there on; nothing if it is not there yet."""
    try:
        with path.open("rb") as stream:
            stream.seek(start)
            return stream.read()
    except FileNotFoundError:
        return b""


def _walk(content: bytes) -> Iterator[tuple[tuple[int, int, int, int, int, int, int], int]]:
    """The heads of a group's whole entries, each with the end of its entry."""
    at = 0
    while at + _GROUP.size <= len(content):
        head = _GROUP.unpack_from(content, at)
        at += _GROUP.size + head[4] * (_RECORD_BYTES + _DELTA_BYTES)
        if at > len(content):
            return
        yield head, at


def _little_endian(numbers: array[int]) -> array[int]:
    """The numbers in the file's byte order, or from it in this machine's."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
