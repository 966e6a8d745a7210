"""Reads the evidence for offset translation on the target, and translates groups' positions."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from drkit.domain.kafka import GroupOffsets, LogRange, Record, TopicPartition
from drkit.domain.mirror_flow import Flow
from drkit.domain.mm2_records import Checkpoint, parse_checkpoint, parse_offset_sync
from drkit.domain.offsets import Bounded, OffsetMap, Tail, TargetLog, Unavailable, Verdict
from drkit.domain.positions import GroupPosition
from drkit.errors import RefusedError
from drkit.ports import KafkaReader, ReadRange, TopicTail

_TAIL_RECORDS = 200
"""How far below a log end the last data record is looked for first; then ten times as far, and so on."""


Pairs = list[tuple[int, int]]


@dataclass(slots=True)
class SyncHistory:
    """The whole offset-syncs topic of a flow, read once and then only what is new."""

    reader: KafkaReader
    topic: str
    _tail: TopicTail | None = None
    _pairs: dict[TopicPartition, Pairs] = field(default_factory=dict)

    def read(self) -> Mapping[TopicPartition, Pairs]:
        """Every pair so far, per source partition, in the order of the topic; empty while MM2 has made no topic."""
        if self._tail is None:
            try:
                self._tail = self.reader.tail(self.topic)
            except RefusedError:
                return self._pairs
        for record in self._tail.catch_up():
            sync = parse_offset_sync(record.key, record.value)
            self._pairs.setdefault(sync.partition, []).append((sync.upstream, sync.downstream))
        return self._pairs

    def close(self) -> None:
        """Leave the topic."""
        if self._tail is not None:
            self._tail.close()


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
class Translator:
    """Translates committed offsets of a flow's source into positions on its target. Reads the target only.

    ``source``: the source's reader while it is alive. ``rename``: source topic to target topic. ``mirrored``: last
    mirrored upstream offset per source partition.
    """

    target: KafkaReader
    history: SyncHistory
    mirrored: Callable[[], Mapping[TopicPartition, int]]
    rename: Callable[[str], str] = str
    source: KafkaReader | None = None
    exactly_once: bool = False

    def prepare(self) -> None:
        """Read the sync history and the mirror's positions, so that a translation later reads only what is new."""
        self.history.read()
        self.mirrored()

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
        mirrored, history = self.mirrored(), self.history.read()
        logs = self.target.log_ranges(list(present.values()))
        last_records = self._last_records({t: logs[t] for t in present.values()})
        maps = {
            p: OffsetMap(
                history.get(p, []),
                TargetLog(logs[t].start, logs[t].end),
                Tail(mirrored.get(p), last_records[t], drained_to=(drained_to or {}).get(p), is_final=is_final),
                exactly_once=self.exactly_once,
            )
            for p, t in present.items()
        }
        return self._positions(committed, renamed, maps)

    def _positions(
        self,
        committed: GroupOffsets,
        renamed: Mapping[TopicPartition, TopicPartition],
        maps: Mapping[TopicPartition, OffsetMap],
    ) -> list[GroupPosition]:
        requests = {
            ReadRange(renamed[p], *request)
            for offsets in committed.values()
            for p, offset in offsets.items()
            if p in maps and (request := maps[p].request(offset)) is not None and request[0] < request[1]
        }
        records = self.target.data_offsets(sorted(requests, key=lambda r: (r.partition, r.start)))

        def verdict(p: TopicPartition, offset: int, sources: Mapping[TopicPartition, Sequence[int]]) -> Verdict:
            if p not in maps:
                return Unavailable("the target has no such partition")
            return maps[p].translate(offset, records.get(renamed[p], ()), sources.get(p))

        wanted = [
            (group, p, offset) for group, offsets in sorted(committed.items()) for p, offset in sorted(offsets.items())
        ]
        first = [(group, p, offset, verdict(p, offset, {})) for group, p, offset in wanted]
        sources = self._source_records(
            {(p, offset) for _, p, offset, found in first if isinstance(found, Bounded)}, maps
        )
        return [
            GroupPosition(
                group, p, renamed[p], offset, verdict(p, offset, sources) if isinstance(found, Bounded) else found
            )
            for group, p, offset, found in first
        ]

    def _source_records(
        self, undecided: Collection[tuple[TopicPartition, int]], maps: Mapping[TopicPartition, OffsetMap]
    ) -> Mapping[TopicPartition, Sequence[int]]:
        """Data offsets of the source around the positions that the target alone does not decide; none if it is gone."""
        if self.source is None or not undecided:
            return {}
        ranges = {
            ReadRange(p, *request) for p, offset in undecided if (request := maps[p].source_request(offset)) is not None
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
        try:
            tail = self.target.tail(self.flow.checkpoints_topic)
        except RefusedError:
            return {}
        found: dict[str, dict[TopicPartition, tuple[int, int]]] = {}
        try:
            for record in tail.catch_up():
                checkpoint: Checkpoint = parse_checkpoint(record.key, record.value)
                partition = TopicPartition(self.original(checkpoint.partition.topic), checkpoint.partition.partition)
                found.setdefault(checkpoint.group, {})[partition] = (checkpoint.upstream, record.timestamp_ms)
        finally:
            tail.close()
        return found
