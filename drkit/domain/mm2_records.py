"""MirrorMaker 2's own records on the wire, and nothing more lenient.

Sources: ``OffsetSync`` and ``Checkpoint`` of Kafka's ``connect/mirror`` (``Struct`` encoding, big-endian, strings as a
16-bit length and UTF-8); the formats are the same from Kafka 2.4 to 4.3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from drkit.domain.kafka import TopicPartition
from drkit.errors import RefusedError

_PAIR = struct.Struct(">qq")


class ForeignRecordError(RefusedError):
    """A record in one of MM2's topics is not MM2's."""


class OffsetSync(NamedTuple):
    """An exact pair: the source's record at ``upstream`` has a copy at ``downstream`` in the target."""

    partition: TopicPartition
    upstream: int
    downstream: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A group's committed offset on the source, as MM2 saw it, with MM2's own translation.

    ``partition`` has the target's topic name.
    """

    group: str
    partition: TopicPartition
    upstream: int
    downstream: int


def parse_offset_sync(key: bytes | None, value: bytes | None) -> OffsetSync:
    """An offset sync. Raises ``ForeignRecordError``."""
    partition = _sync_partition(key)
    if value is None or len(value) != _PAIR.size:
        raise ForeignRecordError(f"an offset sync has {0 if value is None else len(value)} bytes, not {_PAIR.size}")
    return OffsetSync(partition, *_PAIR.unpack(value))


@lru_cache(maxsize=100_000)
def _sync_partition(key: bytes | None) -> TopicPartition:
    """Millions of syncs are of a few thousand partitions."""
    names = _Reader(key, "offset sync key")
    partition = TopicPartition(names.string(), names.integer())
    names.end()
    return partition


def parse_checkpoint(key: bytes | None, value: bytes | None) -> Checkpoint:
    """A checkpoint. Raises ``ForeignRecordError``, also for a version other than 0."""
    names = _Reader(key, "checkpoint key")
    group, partition = names.string(), TopicPartition(names.string(), names.integer())
    names.end()
    figures = _Reader(value, "checkpoint")
    version = figures.short()
    if version != 0:
        raise ForeignRecordError(f"a checkpoint has version {version}; only 0 is known")
    checkpoint = Checkpoint(group, partition, figures.long(), figures.long())
    figures.string()
    figures.end()
    return checkpoint


class _Reader:
    def __init__(self, content: bytes | None, what: str) -> None:
        if content is None:
            raise ForeignRecordError(f"{what}: there is none")
        self._content = content
        self._what = what
        self._place = 0

    def short(self) -> int:
        return self._number(">h", 2)

    def integer(self) -> int:
        return self._number(">i", 4)

    def long(self) -> int:
        return self._number(">q", 8)

    def string(self) -> str:
        length = self.short()
        if length < 0 or self._place + length > len(self._content):
            raise ForeignRecordError(f"{self._what}: torn inside a string")
        raw = self._content[self._place : self._place + length]
        self._place += length
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise ForeignRecordError(f"{self._what}: a string is not UTF-8") from error

    def end(self) -> None:
        if self._place != len(self._content):
            raise ForeignRecordError(f"{self._what}: {len(self._content) - self._place} bytes too many")

    def _number(self, shape: str, size: int) -> int:
        if self._place + size > len(self._content):
            raise ForeignRecordError(f"{self._what}: torn after {len(self._content)} bytes")
        (number,) = struct.unpack_from(shape, self._content, self._place)
        self._place += size
        return int(number)
