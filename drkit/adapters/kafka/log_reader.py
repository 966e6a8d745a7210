"""Reads ranges of partitions, and follows topics, with a consumer that belongs to no group."""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from drkit.adapters.kafka.client import Connection
from drkit.adapters.kafka.failures import is_one_of, translated
from drkit.domain.kafka import LogRange, Record, TopicPartition
from drkit.ports import ReadRange

_SMALL_RANGE_RECORDS: Final = 2000
"""Up to this length, on average, ranges are read in small fetches. Measured with records of 100 bytes, seconds for
ranges of 12 partitions: ten of 1000 records 0.35 small and 0.7 large, five of 6000 records 1.1 small and 0.5 large."""
_READ_THROUGH_RECORDS: Final = 3000
"""Two ranges with a smaller gap are read in one go. Measured: a million records/s in a row; a seek costs 1 ms where
batches are small and 8 ms where they are large, because a broker answers with whole batches."""
_BATCH: Final = 300
"""Messages taken at once. Two batches are fewer objects than make Python look for garbage (700): measured, a third of
the time goes into that otherwise."""
_SLOW_FACTOR: Final = 3
"""How many deadlines a log that brings nothing is waited for while some broker is connected: it may only be slow."""
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


def _is_given_up(connection: Connection, progress_at: float) -> bool:
    factor = 1 if connection.is_cut_off_since(progress_at) else _SLOW_FACTOR
    return time.monotonic() - progress_at > connection.timeout_seconds * factor


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

    def among(self, partition: TopicPartition, offsets: Sequence[int]) -> array[int]:
        """Those of the offsets, which rise, that the ranges hold."""
        found = array("q")
        for start, end in zip(self._starts.get(partition, ()), self._ends.get(partition, ()), strict=True):
            begin = bisect_left(offsets, start)
            found.extend(offsets[begin : bisect_left(offsets, end, begin)])
        return found


class Read(NamedTuple):
    """Data messages of one partition with their offsets, in order."""

    partition: TopicPartition
    offsets: Sequence[int]
    messages: Sequence[Any]


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


def _by_partition(batch: Sequence[Any], topic: str | None) -> Mapping[TopicPartition, Sequence[Any]]:
    """The messages of a batch, in order, per partition. ``topic``: of all of them, if there is but one."""
    kind = type(batch[0])
    numbers = list(map(kind.partition, batch))
    names = [topic] * len(batch) if topic is not None else list(map(kind.topic, batch))
    # They come in long runs of one partition.
    if numbers.count(numbers[0]) == len(batch) and (topic is not None or names.count(names[0]) == len(batch)):
        return {TopicPartition(names[0], numbers[0]): batch}
    found: dict[tuple[str, int], list[Any]] = {}
    for name, number, message in zip(names, numbers, batch, strict=True):
        found.setdefault((name, number), []).append(message)
    return {TopicPartition(*place): messages for place, messages in found.items()}


class RangeReader:
    """Reads many ranges of many partitions at once; per partition in order, each message once.

    The ranges lie within their logs: a consumer never ends a range that begins beyond the last stable offset, and one
    that begins beyond the log end would be read from the log start.
    """

    def __init__(self, connection: Connection, ranges: Sequence[ReadRange], *, committed: bool) -> None:
        self._connection = connection
        self._queues = merged(ranges)
        lengths = [one.end - one.start for queue in self._queues.values() for one in queue]
        self._small = sum(lengths) <= _SMALL_RANGE_RECORDS * len(lengths)
        self._committed = committed
        topics = {partition.topic for partition in self._queues}
        self._topic = topics.pop() if len(topics) == 1 else None

    def messages(self) -> Iterator[Read]:
        """Every data message within the merged ranges, as they come, never none.

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
                batch = client.consume(_BATCH, timeout=_POLL_SECONDS)
                if batch:
                    progress_at = time.monotonic()
                    yield from self._take(client, batch)
                elif _is_given_up(self._connection, progress_at):
                    raise self._connection.silence(f"reading {next(iter(self._queues))}")
        finally:
            client.close()

    def _take(self, client: Any, batch: Sequence[Any]) -> Iterator[Read]:
        for partition, messages in _by_partition(batch, self._topic).items():
            queue = self._queues.get(partition)
            if queue is None:
                continue
            read = self._wanted(client, partition, messages)
            if read.messages:
                yield read
            if not queue:
                self._finish(client, partition)

    def _wanted(self, client: Any, partition: TopicPartition, messages: Sequence[Any]) -> Read:
        """Of the messages of one partition, in order, those of its ranges; goes on to the next range."""
        queue = self._queues[partition]
        kind = type(messages[0])
        is_over = any(map(kind.error, messages))
        if is_over:
            # What came after the end of the partition, or of what was stable, is above every range.
            end = next(at for at, message in enumerate(messages) if _is_end(message, self._connection.region))
            messages = messages[:end]
        offsets = list(map(kind.offset, messages))
        wanted: list[slice] = []
        while queue and offsets:
            begin = bisect_left(offsets, queue[0].start)
            end = bisect_left(offsets, queue[0].end, begin)
            wanted.append(slice(begin, end))
            if offsets[-1] < queue[0].end - 1:
                break
            queue.popleft()
            if queue and queue[0].start > offsets[-1]:
                self._seek(client, queue[0])
        if is_over:
            queue.clear()
        if len(wanted) == 1:
            return Read(partition, offsets[wanted[0]], messages[wanted[0]])
        return Read(partition, [o for some in wanted for o in offsets[some]], [m for s in wanted for m in messages[s]])

    @staticmethod
    def _seek(client: Any, to: ReadRange) -> None:
        from confluent_kafka import TopicPartition as Position

        client.seek(Position(to.partition.topic, to.partition.partition, to.start))

    def _finish(self, client: Any, partition: TopicPartition) -> None:
        from confluent_kafka import TopicPartition as Position

        self._queues.pop(partition, None)
        client.incremental_unassign([Position(partition.topic, partition.partition)])


class Tail:
    """All partitions of one topic, from the start and then incrementally."""

    def __init__(self, connection: Connection, topic: str, logs: Callable[[str], Mapping[int, LogRange]]) -> None:
        """``logs``: of the topic's partitions, those that hold anything stable."""
        self._connection = connection
        self._topic = topic
        self._logs = logs
        self._client: Any = None
        self._next: dict[int, int] = {}

    def catch_up(self) -> Sequence[Record]:
        """What was added up to the log ends at the time of the call."""
        logs = self._logs(self._topic)
        self._follow({partition: log.start for partition, log in logs.items() if partition not in self._next})
        found: list[Record] = []
        progress_at = time.monotonic()
        while any(self._next[partition] < log.stable_end for partition, log in logs.items()):
            batch = self._client.consume(5000, timeout=_POLL_SECONDS)
            if batch:
                progress_at = time.monotonic()
            elif _is_given_up(self._connection, progress_at):
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

    def _follow(self, starts: Mapping[int, int]) -> None:
        """Follow these, too: they held nothing when the others were begun with, or were not there."""
        from confluent_kafka import TopicPartition as Position

        if not starts:
            return
        if self._client is None:
            self._client = consumer(self._connection, committed=True, small=False)
        # By number: librdkafka looks up the beginning only half a second later, once it knows the leader.
        self._client.incremental_assign([Position(self._topic, *place) for place in starts.items()])
        self._next.update(starts)


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
