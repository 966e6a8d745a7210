"""Verification after a switch: the two sides compared up to the cut, or, without the source, what the target shows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from drkit.domain.checks import Check, Verification, compared, not_checked, ok
from drkit.domain.comparison import (
    Topics,
    compare_configs,
    compare_positions,
    compare_topics,
)
from drkit.domain.kafka import GroupOffsets, TopicPartition
from drkit.domain.lineage import Cut, Epoch, EpochState
from drkit.errors import DrkitError
from drkit.ports import Clock, KafkaReader, KafkaWriter, ProbeOutcome, ReadRange
from drkit.verification.sides import BothSides, CompareSettings, Starts, all_partitions, renamed, shared
from drkit.verification.tails import read_tails


def starts_of(previous: Epoch | None, source: str) -> Starts:
    """Where both logs held the same at the cut before, if that epoch is in force and led to ``source``; else nothing.

    Without a previous epoch, ``Comparison`` counts the partitions of which neither side has removed anything.
    """
    if previous is None or previous.target != source or previous.state is not EpochState.IN_FORCE:
        return {}
    return {p: (cut.target_end, cut.source_end) for p, cut in previous.cut.items() if cut.source_end is not None}


class Comparison:
    """Compares the target with the source as both were at the cut. Reads only, but for the canary.

    ``source``: None when it is gone. ``known_topics``: the source's topics from a snapshot, for when it is.
    ``writer``: the target's, for the canary; None leaves it out.
    """

    def __init__(
        self,
        *,
        source: KafkaReader | None,
        target: KafkaReader,
        writer: KafkaWriter | None,
        clock: Clock,
        settings: CompareSettings,
        known_topics: Topics | None = None,
    ) -> None:
        self._source = source
        self._target = target
        self._writer = writer
        self._clock = clock
        self._settings = settings
        self._known_topics = known_topics

    def run(self, cut: Cut, committed: GroupOffsets, starts: Starts | None = None) -> Verification:
        """All checks. ``cut``: by the source's partitions. ``committed``: what was committed per group on the target.

        A check that cannot be made because the source does not answer, or a call fails, is ``not_checked``. Raises
        only what reading the target's topics raises.
        """
        target_topics, rename = self._target.topics(), self._settings.rename
        source, topics, gone = self._living_source()
        checks = [*self._inventory(topics, target_topics, gone), self._target_logs(cut, target_topics)]
        if source is None:
            checks += [not_checked(name, gone) for name in ("old-side", "record-counts", "digests")]
        else:
            both = shared(cut, topics or {}, target_topics, rename)
            live = BothSides(source, self._target, both, target_topics, self._settings)
            removed = sorted(cut.keys() - all_partitions(topics or {}))
            checks += [
                _guarded("old-side", lambda: live.old_side(removed)),
                _guarded("record-counts", lambda: live.counts(starts or {})),
                _guarded("digests", live.digests),
            ]
        checks += [_guarded("group-positions", lambda: self._positions(committed, target_topics)), self._canary()]
        return Verification(tuple(checks))

    def _living_source(self) -> tuple[KafkaReader | None, Topics | None, str]:
        gone = "the source is gone; only what the target shows is checked"
        if self._source is not None:
            try:
                return self._source, self._mirrored(self._source.topics()), ""
            except DrkitError as error:
                gone = f"the source does not answer ({error.message}); only what the target shows is checked"
        return None, None if self._known_topics is None else self._mirrored(self._known_topics), gone

    def _mirrored(self, topics: Topics) -> Topics:
        return {name: topic for name, topic in topics.items() if self._settings.topics.matches(name)}

    def _inventory(self, topics: Topics | None, target_topics: Topics, gone: str) -> list[Check]:
        if topics is None:
            reason = f"{gone}; there is no snapshot of its topics"
            return [not_checked("topics", reason), not_checked("configs", reason)]
        rename = self._settings.rename
        return [
            compare_topics(topics, target_topics, rename),
            compare_configs(topics, target_topics, rename, self._settings.never_synced),
        ]

    def _target_logs(self, cut: Cut, target_topics: Topics) -> Check:
        # Every mirrored partition is there, led, not shorter than at the cut, and its end can be read.
        ends = {renamed(p, self._settings.rename): ends.target_end for p, ends in cut.items()}
        led = {
            TopicPartition(name, one.partition)
            for name, topic in target_topics.items()
            for one in topic.partitions
            if one.leader is not None
        }
        differences = [f"{partition} does not exist, or has no leader" for partition in sorted(ends.keys() - led)]
        readable = {partition: end for partition, end in ends.items() if partition in led}

        def look() -> Check:
            logs = self._target.log_ranges(readable)
            short = [p for p, end in sorted(readable.items()) if logs[p].end < end]
            differences.extend(f"{p} ends at {logs[p].end}, before the cut at {readable[p]}" for p in short)
            newest = read_tails(self._target, readable, 1, lambda record: record.timestamp_ms)
            times = [time for tail in newest.values() for time in tail.items if time >= 0]
            detail = f"{len(readable)} partitions are led and readable up to the cut"
            if times:
                detail += f"; newest mirrored record of {datetime.fromtimestamp(max(times) / 1000, UTC).isoformat()}"
            return compared("target-logs", differences, detail, of=f"{len(ends)} partitions")

        return _guarded("target-logs", look)

    def _positions(self, committed: GroupOffsets, target_topics: Topics) -> Check:
        found = self._target.committed_offsets(committed)
        partitions = {p for offsets in committed.values() for p in offsets} & all_partitions(target_topics)
        return compare_positions(committed, found, self._target.log_ranges(partitions))

    def _canary(self) -> Check:
        writer, topic = self._writer, self._settings.canary_topic
        if writer is None:
            return not_checked("canary", "no writer was given: nothing was to be written")
        started = self._clock.monotonic()
        value = f"drkit verification canary {self._clock.now().isoformat()}".encode()

        def look() -> Check:
            outcome, offset = writer.probe_write(topic, value)
            if outcome is ProbeOutcome.REFUSED:
                return compared("canary", ["the target refuses drkit's write"], "", of=topic)
            read = [r.value for r in self._target.read([ReadRange(TopicPartition(topic, 0), offset, offset + 1)])]
            if read != [value]:
                return compared("canary", [f"written at offset {offset} and not read back"], "", of=topic)
            return ok("canary", f"written and consumed in {self._clock.monotonic() - started:.3f} s")

        return _guarded("canary", look)


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    """A check that could not be made is no success and no difference, and keeps no other check from being made."""
    try:
        return look()
    except DrkitError as error:
        return not_checked(name, error.message)
