"""Reads ranges of partitions, and follows topics, with a consumer that belongs to no group."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from drkit.adapters.kafka.client import Connection
from drkit.adapters.kafka.failures import is_one_of, translated
from drkit.domain.kafka import Record, TopicPartition
from drkit.ports import ReadRange

_SMALL_RANGE_RECORDS: Final = 50_000
_READ_THROUGH_RECORDS: Final = 3000
"""Two ranges with a smaller gap are read in one go. Measured: 600,000 records/s in a row; a seek costs 1 ms where
batches are small and 8 ms where they are large, because a broker answers with whole batches."""
_STALL_FACTOR: Final = 3
_POLL_SECONDS: Final = 0.004
"""``consume`` waits for all the messages that it was asked for, or for this long: it is the latency of every seek."""


def consumer(connection: Connection, *, committed: bool, small: bool) -> Any:
    """A consumer for assigned partitions only; its group id is never used for anything."""
    from confluent_kafka import Consumer

    return connection.client(
        Consumer,
        group_id="drkit-reader",
        enable_auto_commit=False,
        enable_auto_offset_store=False,
        enable_partition_eof=True,
        isolation_level="read_committed" if committed else "read_uncommitted",
        auto_offset_reset="earliest",
        fetch_wait_max_ms=10,
        fetch_error_backoff_ms=20,
        # Reading ahead only delays the next seek (measured: 109 ranges of 12 partitions in 0.7 s, not 1.8 s).
        fetch_queue_backoff_ms=5,
        queued_min_messages=1000 if small else 5000,
        max_partition_fetch_bytes=(64 if small else 1024) * 1024,
    )


class Wanted:
    """Which offsets ranges hold, asked in O(log n): thousands of positions of one partition are a usual case."""

    def __init__(self, ranges: Iterable[ReadRange]) -> None:
        queues = merged(ranges, gap=0)
        self._starts = {partition: [one.start for one in queue] for partition, queue in queues.items()}
        self._ends = {partition: [one.end for one in queue] for partition, queue in queues.items()}

    def holds(self, partition: TopicPartition, offset: int) -> bool:
        """Whether the offset lies in one of the partition's ranges."""
        place = bisect_right(self._starts[partition], offset) - 1
        return place >= 0 and offset < self._ends[partition][place]

    def among(self, partition: TopicPartition, offsets: Sequence[int]) -> Sequence[int]:
        """Those of the offsets, which rise, that the ranges hold."""
        place = bisect_right(self._starts[partition], offsets[0]) - 1
        if place >= 0 and offsets[-1] < self._ends[partition][place]:
            return offsets
        return [offset for offset in offsets if self.holds(partition, offset)]


def merged(ranges: Iterable[ReadRange], *, gap: int = _READ_THROUGH_RECORDS) -> dict[TopicPartition, deque[ReadRange]]:
    """Ranges per partition, in order, without overlap, gaps of up to ``gap`` offsets closed, empty ones left out."""
    queues: dict[TopicPartition, deque[ReadRange]] = {}
    for one in sorted(ranges, key=lambda r: (r.partition, r.start)):
        if one.end <= one.start:
            continue
        queue = queues.setdefault(one.partition, deque())
        if queue and one.start <= queue[-1].end + gap:
            queue[-1] = ReadRange(one.partition, queue[-1].start, max(queue[-1].end, one.end))
        else:
            queue.append(one)
    return queues


class RangeReader:
    """Reads many ranges of many partitions at once; per partition in order, each message once.

    The ranges lie within their logs: a consumer never ends a range that begins beyond the last stable offset, and one
    that begins beyond the log end would be read from the log start.
    """

    def __init__(self, connection: Connection, ranges: Sequence[ReadRange], *, committed: bool) -> None:
        self._connection = connection
        self._queues = merged(ranges)
        self._small = all(r.end - r.start <= _SMALL_RANGE_RECORDS for queue in self._queues.values() for r in queue)
        self._committed = committed

    def messages(self) -> Iterator[tuple[TopicPartition, Sequence[Any]]]:
        """Every data message within the merged ranges, by partition and as they come, never none.

        Raises when no progress is made within the deadline.
        """
        if not self._queues:
            return
        from confluent_kafka import TopicPartition as Position

        client = consumer(self._connection, committed=self._committed, small=self._small)
        try:
            client.assign([Position(p.topic, p.partition, queue[0].start) for p, queue in self._queues.items()])
            progress_at = time.monotonic()
            while self._queues:
                batch = client.consume(1000, timeout=_POLL_SECONDS)
                if batch:
                    progress_at = time.monotonic()
                elif time.monotonic() - progress_at > self._connection.timeout_seconds * _STALL_FACTOR:
                    raise self._connection.silence(f"reading {next(iter(self._queues))}")
                yield from self._take(client, batch)
        finally:
            client.close()

    def _take(self, client: Any, batch: Sequence[Any]) -> Iterator[tuple[TopicPartition, Sequence[Any]]]:
        by_partition: dict[tuple[str, int], list[Any]] = {}
        for message in batch:
            by_partition.setdefault((message.topic(), message.partition()), []).append(message)
        for (topic, number), messages in by_partition.items():
            partition = TopicPartition(topic, number)
            queue = self._queues.get(partition)
            if queue is None:
                continue
            if wanted := self._wanted(client, queue, messages):
                yield partition, wanted
            if not queue:
                self._finish(client, partition)

    def _wanted(self, client: Any, queue: deque[ReadRange], messages: Sequence[Any]) -> Sequence[Any]:
        """Messages of one partition, in order, as long as there are ranges."""
        is_all_data = all(message.error() is None for message in messages)
        if is_all_data and queue[0].start <= messages[0].offset() and messages[-1].offset() < queue[0].end - 1:
            return messages
        fetched = max((message.offset() for message in messages if message.error() is None), default=-1)
        wanted = []
        for message in messages:
            if _is_end(message, self._connection.region):
                queue.clear()
            if not queue:
                break
            offset = message.offset()
            if offset >= queue[0].end:
                self._advance(client, queue, offset, fetched)
            if queue and queue[0].start <= offset:
                wanted.append(message)
                if offset == queue[0].end - 1:
                    self._advance(client, queue, offset + 1, fetched)
        return wanted

    @staticmethod
    def _advance(client: Any, queue: deque[ReadRange], position: int, fetched: int) -> None:
        """Go on to the next range. ``fetched``: the batch goes up to there; what is in it must not come again."""
        from confluent_kafka import TopicPartition as Position

        while queue and queue[0].end <= position:
            queue.popleft()
        if queue and queue[0].start > fetched:
            client.seek(Position(queue[0].partition.topic, queue[0].partition.partition, queue[0].start))

    def _finish(self, client: Any, partition: TopicPartition) -> None:
        from confluent_kafka import TopicPartition as Position

        self._queues.pop(partition, None)
        client.incremental_unassign([Position(partition.topic, partition.partition)])


class Tail:
    """All partitions of one topic, from the start and then incrementally."""

    def __init__(self, connection: Connection, topic: str, ends: Any) -> None:
        self._connection = connection
        self._topic = topic
        self._ends = ends
        self._client: Any = None
        self._next: dict[int, int] = {}

    def catch_up(self) -> Sequence[Record]:
        """What was added up to the log ends at the time of the call."""
        ends: Mapping[int, int] = self._ends(self._topic)
        self._follow(ends.keys() - self._next.keys())
        found: list[Record] = []
        progress_at = time.monotonic()
        while any(self._next.get(partition, 0) < end for partition, end in ends.items()):
            batch = self._client.consume(5000, timeout=_POLL_SECONDS)
            if batch:
                progress_at = time.monotonic()
            elif time.monotonic() - progress_at > self._connection.timeout_seconds * _STALL_FACTOR:
                raise self._connection.silence(f"reading {self._topic}")
            for message in batch:
                if _is_end(message, self._connection.region):
                    self._next[message.partition()] = max(self._next[message.partition()], message.offset())
                else:
                    found.append(to_record(message))
                    self._next[message.partition()] = message.offset() + 1
        return found

    def close(self) -> None:
        """Leave the topic."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _follow(self, partitions: Collection[int]) -> None:
        """Follow these, too: they held nothing when the others were begun with, or were not there."""
        from confluent_kafka import OFFSET_BEGINNING
        from confluent_kafka import TopicPartition as Position

        if not partitions:
            return
        if self._client is None:
            self._client = consumer(self._connection, committed=True, small=False)
        self._client.incremental_assign([Position(self._topic, number, OFFSET_BEGINNING) for number in partitions])
        self._next.update(dict.fromkeys(partitions, 0))


def to_record(message: Any) -> Record:
    """A consumed message as a value."""
    from confluent_kafka import TIMESTAMP_NOT_AVAILABLE

    kind, timestamp_ms = message.timestamp()
    return Record(
        TopicPartition(message.topic(), message.partition()),
        message.offset(),
        -1 if kind == TIMESTAMP_NOT_AVAILABLE else timestamp_ms,
        message.key(),
        message.value(),
        tuple(message.headers() or ()),
    )


def _is_end(message: Any, region: str) -> bool:
    error = message.error()
    if error is None:
        return False
    if is_one_of(error, ("_PARTITION_EOF",)):
        return True
    from confluent_kafka import KafkaException

    raise translated(KafkaException(error), f"reading {message.topic()}", region)
