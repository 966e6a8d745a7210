"""The ledger's files: fixed-size binary entries, appended and flushed batch by batch."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from drkit.domain.ledger import Abandoned, Acknowledged, Committed, GroupEvent, Place, Processed
from drkit.sandbox.layout import REGIONS

_ENTRY: Final = struct.Struct("<BQBBBqd")
"""Kind, record id, topic, partition, region, offset, time."""
_ACKNOWLEDGED, _PROCESSED, _COMMITTED, _ABANDONED = range(4)


class LedgerFile:
    """One writer's file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("ab")

    def acknowledged(self, record: int, topic: int, partition: int, region: int, offset: int, at: float) -> None:
        """A record was acknowledged."""
        self._file.write(_ENTRY.pack(_ACKNOWLEDGED, record, topic, partition, region, offset, at))

    def processed(self, record: int, topic: int, partition: int, region: int, offset: int) -> None:
        """A record was processed."""
        self._file.write(_ENTRY.pack(_PROCESSED, record, topic, partition, region, offset, 0.0))

    def committed(self) -> None:
        """The group's commit was accepted."""
        self._file.write(_ENTRY.pack(_COMMITTED, 0, 0, 0, 0, 0, 0.0))
        self._file.flush()

    def abandoned(self) -> None:
        """The group's commit was refused."""
        self._file.write(_ENTRY.pack(_ABANDONED, 0, 0, 0, 0, 0, 0.0))
        self._file.flush()

    def flush(self) -> None:
        """Hand everything to the system."""
        self._file.flush()


def read_acknowledged(path: Path, topics: Sequence[str]) -> Iterator[Acknowledged]:
    """A producer's entries."""
    for kind, record, topic, partition, region, offset, at in _entries(path):
        if kind == _ACKNOWLEDGED:
            yield Acknowledged(record, Place(REGIONS[region], topics[topic], partition, offset), at)


def read_group(path: Path, topics: Sequence[str]) -> Iterator[GroupEvent]:
    """A group's entries, in order."""
    for kind, record, topic, partition, region, offset, _ in _entries(path):
        if kind == _PROCESSED:
            yield Processed(record, Place(REGIONS[region], topics[topic], partition, offset))
        else:
            yield Committed() if kind == _COMMITTED else Abandoned()


def _entries(path: Path) -> Iterator[tuple[int, int, int, int, int, int, float]]:
    if not path.exists():
        return
    content = path.read_bytes()
    # The last entry may be half written while the workload runs.
    whole = len(content) - len(content) % _ENTRY.size
    yield from _ENTRY.iter_unpack(memoryview(content)[:whole])
