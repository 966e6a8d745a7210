"""What MM2 and Connect have left on the target: offset syncs, starts of tasks, committed positions, checkpoints."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from drkit.domain.anchors import Anchors
from drkit.domain.kafka import Record, TopicPartition
from drkit.domain.mirror_flow import Flow
from drkit.domain.mm2_records import Checkpoint, parse_checkpoint, parse_offset_sync
from drkit.domain.sync_log import LoggedSync, by_partition, is_whole, joined, unbroken
from drkit.domain.task_starts import Folding, TaskStarts
from drkit.errors import RefusedError
from drkit.ports import KafkaReader, TopicTail

_CLOCKS_APART_MS = 60_000
"""The clocks of whoever saw a topic and of MirrorMaker 2 may differ so much."""


@dataclass(slots=True)
class StatusTopic:
    """Starts of a connector's tasks, from Connect's status topic. Only where the flow's producer is idempotent."""

    reader: KafkaReader
    topic: str
    connector: str
    _tail: TopicTail | None = None
    _starts: TaskStarts | None = None

    def read(self) -> TaskStarts | None:
        """Every start so far; None if the topic is missing."""
        if self._tail is None:
            try:
                self._tail = self.reader.tail(self.topic)
            except RefusedError:
                return None
        if self._starts is None:
            self._starts = TaskStarts(self.connector)
        self._starts.take(self._tail.catch_up())
        return self._starts

    def close(self) -> None:
        """Leave the topic."""
        if self._tail is not None:
            self._tail.close()


@dataclass(slots=True)
class SyncHistory:
    """The whole offset-syncs topic of a flow, read once and then only what is new."""

    reader: KafkaReader
    topic: str
    statuses: StatusTopic | None = None
    archive: Callable[[], Sequence[LoggedSync]] | None = None
    """The syncs that were kept elsewhere, asked for where the topic has lost some."""
    renewed_ms: Callable[[], Mapping[str, int]] | None = None
    """Source topics that were made anew, and when the one before was seen last (ms since the epoch)."""
    is_whole: bool = True
    """Whether no sync is missing from what was read."""
    size: int = 0
    """How many syncs there are."""
    _tail: TopicTail | None = None
    _folded: dict[TopicPartition, Folding] = field(default_factory=dict)
    _next_offset: int = 0
    _fresh: set[TopicPartition] = field(default_factory=set)
    _known_renewed: Mapping[str, int] | None = None

    def read(self) -> Mapping[TopicPartition, Anchors]:
        """Every pair so far, per source partition, folded; empty while MM2 has made no topic."""
        syncs = self._added()
        # After the syncs: whatever started before one of them must be known by then.
        starts = self.statuses.read() if self.statuses is not None else None
        for chunk in unbroken(syncs):
            if chunk[0].record_offset != self._next_offset:
                self.is_whole = False
                for folding in self._folded.values():
                    folding.anchors.miss()
            self._next_offset = chunk[-1].record_offset + 1
            for partition, own in by_partition(chunk).items():
                self._fold(partition, own, starts)
        self.size += len(syncs)
        for folding in self._folded.values():
            folding.finish(starts)
        return {partition: folding.anchors for partition, folding in self._folded.items()}

    def _fold(self, partition: TopicPartition, syncs: Sequence[LoggedSync], starts: TaskStarts | None) -> None:
        if partition not in self._folded:
            self._folded[partition] = Folding()
        if starts is None and partition.topic not in self._renewed():
            self._folded[partition].extend((one.sync.upstream, one.sync.downstream) for one in syncs)
            return
        for one in syncs:
            self._folding(one).add(one.sync.upstream, one.sync.downstream, one.at_ms, starts)

    def _folding(self, one: LoggedSync) -> Folding:
        """The folding that a sync belongs to: another one where the topic is another.

        The first copy of the new topic is a rewind. Clocks do not tell a restart shortly before from it; the earlier
        of the two is safe, as the later one then hides what was copied between them.
        """
        partition, up, down = one.sync
        folding = self._folded[partition]
        renewed_ms = self._renewed().get(partition.topic)
        if renewed_ms is None or partition in self._fresh or one.at_ms < renewed_ms - _CLOCKS_APART_MS:
            return folding
        if folding.is_rewind(up, down):
            self._fresh.add(partition)
            self._folded[partition] = folding = folding.renewed()
        return folding

    def _renewed(self) -> Mapping[str, int]:
        if self._known_renewed is None:
            self._known_renewed = {} if self.renewed_ms is None else self.renewed_ms()
        return self._known_renewed

    def _added(self) -> Sequence[LoggedSync]:
        """The syncs that are new since the last look, with those of the archive where the topic lacks some."""
        is_first = self._tail is None
        if self._tail is None:
            try:
                self._tail = self.reader.tail(self.topic)
            except RefusedError:
                return ()
        read = [
            LoggedSync(one.offset, one.timestamp_ms, parse_offset_sync(one.key, one.value))
            for one in self._tail.catch_up()
        ]
        if is_first and self.archive is not None and not is_whole(read):
            return joined(self.archive(), read)
        return read

    def close(self) -> None:
        """Leave the topics."""
        if self._tail is not None:
            self._tail.close()
        if self.statuses is not None:
            self.statuses.close()


@dataclass(slots=True)
class ConnectOffsets:
    """The source connector's committed positions, read from the Connect worker's offsets topic.

    What ``GET /connectors/NAME/offsets`` (KIP-875) answers, without its second of work: the topic is followed, so that
    only what is new is read. Read_committed: under exactly-once a position is part of the transaction that carried
    the records. Key: ``[connector, {cluster, partition, topic}]``, value: ``{offset}`` (``MirrorUtils.wrapPartition``).
    """

    reader: KafkaReader
    topic: str
    connector: str
    _tail: TopicTail | None = None
    _positions: dict[TopicPartition, int] = field(default_factory=dict)

    def read(self) -> Mapping[TopicPartition, int]:
        """Last replicated upstream offset per source partition. Raises ``RefusedError`` if the topic is missing."""
        if self._tail is None:
            self._tail = self.reader.tail(self.topic)
        for record in self._tail.catch_up():
            self._take(record)
        return dict(self._positions)

    def _take(self, record: Record) -> None:
        try:
            connector, partition = json.loads(record.key or b"[null, null]")
            if connector != self.connector:
                return
            source = TopicPartition(partition["topic"], int(partition["partition"]))
            if record.value is None:
                self._positions.pop(source, None)
            else:
                self._positions[source] = int(json.loads(record.value)["offset"])
        except (ValueError, KeyError, TypeError) as error:
            raise RefusedError(
                f"{self.topic} at {self.reader.region} holds a position that is not MirrorMaker 2's: {error!r}",
                hint="is regions.*.connect.offsets_topic the worker's offset.storage.topic?",
            ) from error


@dataclass(frozen=True, slots=True)
class DatedCheckpoint:
    """A group's committed offset on the source, MM2's translation of it, and when it was emitted (ms)."""

    upstream: int
    downstream: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class CheckpointPositions:
    """Groups' positions on a source that does not answer: MM2's checkpoints, which outlive it on the target.

    A checkpoint's upstream offset is a genuine committed offset of the source, as old as the checkpoint.
    """

    target: KafkaReader
    flow: Flow
    original: Callable[[str], str] = str
    """Target topic to source topic."""

    def read(self) -> dict[str, dict[TopicPartition, tuple[int, int]]]:
        """Per group and source partition: committed offset and time of the checkpoint in ms since the epoch."""
        return {
            group: {p: (one.upstream, one.at_ms) for p, one in checkpoints.items()}
            for group, checkpoints in self.newest().items()
        }

    def newest(self) -> dict[str, dict[TopicPartition, DatedCheckpoint]]:
        """Per group and source partition: the newest checkpoint."""
        found: dict[str, dict[TopicPartition, DatedCheckpoint]] = {}
        for partition, one, at_ms in self._all():
            found.setdefault(one.group, {})[partition] = DatedCheckpoint(one.upstream, one.downstream, at_ms)
        return found

    def floors(self) -> dict[TopicPartition, list[tuple[int, int]]]:
        """Per source partition: upstream and downstream offset of every checkpoint, of any group and any time."""
        found: dict[TopicPartition, list[tuple[int, int]]] = {}
        for partition, checkpoint, _ in self._all():
            found.setdefault(partition, []).append((checkpoint.upstream, checkpoint.downstream))
        return found

    def _all(self) -> list[tuple[TopicPartition, Checkpoint, int]]:
        try:
            tail = self.target.tail(self.flow.checkpoints_topic)
        except RefusedError:
            return []
        try:
            parsed = [(parse_checkpoint(record.key, record.value), record.timestamp_ms) for record in tail.catch_up()]
        finally:
            tail.close()
        return [
            (TopicPartition(self.original(one.partition.topic), one.partition.partition), one, at_ms)
            for one, at_ms in parsed
        ]
