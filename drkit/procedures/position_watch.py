"""The part of the watch that looks at groups' positions, and at the records there."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from drkit.backup.position_log import PositionWriter, Written
from drkit.backup.topic_history import TopicHistory
from drkit.domain.cluster_identity import require_known_cluster
from drkit.domain.kafka import GroupOffsets, TopicPartition
from drkit.domain.log_samples import Silence
from drkit.domain.samples import GroupSamples, KnownPositions, PositionSample
from drkit.errors import DrkitError, UnreachableError
from drkit.procedures.log_watch import LogWatch
from drkit.steps.fence_consumers import committed_in_scope
from drkit.steps.world import World
from drkit.verification.record_marks import ALONE_WITHIN, Position, sample_positions

MOST_READ = 1000
"""Positions whose records are read in one look: what is left over is read in the next."""

_AGAIN_AFTER_LOOKS = 12
"""After so many looks it is tried again whether more can be seen around a record than the log held then."""


@dataclass(slots=True)
class PositionWatch:
    """Groups' positions on one region's cluster, the records there, and how far its logs go."""

    world: World
    region: str
    owner: str
    most_read: int = MOST_READ
    _writer: PositionWriter = field(init=False)
    _logs: LogWatch = field(init=False)
    _last: KnownPositions | None = None
    _looks: int = 0
    _tried: dict[Position, int] = field(default_factory=dict)
    """In which look a position's records were last read, where they are not known."""
    _is_silent: bool = False
    _silence: Silence | None = None
    """The first look that was not answered, until it is stored."""

    def __post_init__(self) -> None:
        """Each watch writes generations of its own."""
        cluster_id = self.world.settings.regions[self.region].cluster.cluster_id
        self._writer = PositionWriter(self.world.store, self.region, {"cluster_id": cluster_id, "watch": self.owner})
        self._logs = LogWatch(self.world, self.region)

    def look(self) -> dict[str, int]:
        """Read, sample what moved, store; the figures of ``Look``.

        Raises what the source or the store raises; where only log ends could not be read, after all else is stored.
        """
        self._require_cluster()
        # Before the reading: what is stored is at least as new as it says.
        at_ms = _ms(self.world)
        try:
            return self._read(at_ms)
        except UnreachableError:
            # It answered when the look began: this is the first that it did not.
            if not self._is_silent:
                self._falls_silent(at_ms)
            raise

    def _read(self, at_ms: int) -> dict[str, int]:
        reader = self.world.regions[self.region].reader
        topics = {name: topic for name, topic in reader.topics().items() if self.world.topics.matches(name)}
        ends = self._logs.read(topics)
        if isinstance(ends.error, UnreachableError) and self._falls_silent(at_ms):
            # Each further call would wait for its deadline, too.
            raise ends.error
        committed = committed_in_scope(self.world, reader)
        topic_ids = {name: topic.topic_id for name, topic in topics.items()}
        last = self._last
        if last is None or last.topic_ids != topic_ids:
            history = TopicHistory(self.world.store, self.region)
            history.record(topic_ids, at_ms, before_ms=None if last is None else last.as_of_ms)
        logs = self._logs.samples(ends, last)
        groups, moved = self._compared(committed, at_ms)
        sampled, left_over = self._sample(groups, at_ms)
        written = self._stored(KnownPositions(at_ms, groups, topic_ids, logs))
        if ends.error is not None:
            raise ends.error
        return {
            "groups": len(groups),
            "positions": sum(map(len, groups.values())),
            "moved": moved,
            "sampled": sampled,
            "left_over": left_over,
            "logs": len(ends.ranges),
            "stored_bytes": written.size_bytes,
        }

    def _sample(self, groups: dict[str, dict[TopicPartition, PositionSample]], at_ms: int) -> tuple[int, int]:
        """Add the records of some positions; how many were read, and how many are left over."""
        wanted = self._wanted(groups)
        chosen = wanted[: self.most_read]
        reader, within = self.world.regions[self.region].reader, self._alone_within
        samples = sample_positions(reader, chosen, at_ms, alone_within=within) if chosen else {}
        for group, positions in groups.items():
            groups[group] = {p: one.joined(samples.get((p, one.upstream))) for p, one in positions.items()}
        return len(samples), len(wanted) - len(chosen)

    def _stored(self, known: KnownPositions) -> Written:
        written: Written = self._writer.write(known)
        self._last = known
        if written.is_whole:
            self._writer.forget(known.as_of_ms)
        return written

    def _falls_silent(self, began_ms: int) -> bool:
        """Whether the source does not answer any more within the shorter deadline; then that is noted."""
        try:
            self.world.regions[self.region].health_reader.describe_cluster()
        except UnreachableError:
            self._note_silence(began_ms)
            return True
        return False

    def _note_silence(self, began_ms: int) -> None:
        """Keep when the source was first found not to answer."""
        if not self._is_silent:
            self._is_silent, self._silence = True, Silence(began_ms, _ms(self.world))
        if self._silence is not None:
            # A store that does not answer is tried again in the next look.
            with suppress(DrkitError):
                self._writer.note_silence(self._silence)
                self._silence = None

    def _compared(
        self, committed: GroupOffsets, at_ms: int
    ) -> tuple[dict[str, dict[TopicPartition, PositionSample]], int]:
        """Positions with what is known of them already, and how many moved."""
        groups: dict[str, dict[TopicPartition, PositionSample]] = {}
        moved = 0
        for group, offsets in committed.items():
            last = {} if self._last is None else self._last.groups.get(group, {})
            positions = groups.setdefault(group, {})
            for p, offset in offsets.items():
                known = last.get(p)
                if known is None or known.upstream != offset:
                    known = PositionSample(p, offset, at_ms)
                    moved += 1
                positions[p] = known
        return groups, moved

    @property
    def _alone_within(self) -> int:
        return 0 if self.world.settings.replication.exactly_once else ALONE_WITHIN

    def _wanted(self, groups: GroupSamples) -> list[Position]:
        """Positions of whose record not everything is known: first those that were tried longest ago, or never."""
        self._looks += 1
        found = {(p, one.upstream): one for positions in groups.values() for p, one in positions.items()}
        tried = {
            position: self._tried.get(position, 0) for position, one in found.items() if self._lacks_something(one)
        }
        wanted = [
            position
            for position in sorted(tried, key=tried.__getitem__)
            if found[position].first is None or self._looks - tried[position] >= _AGAIN_AFTER_LOOKS
        ]
        self._tried = {**tried, **dict.fromkeys(wanted[: self.most_read], self._looks)}
        return wanted

    def _lacks_something(self, one: PositionSample) -> bool:
        if one.first is None:
            return True
        return self._alone_within > 0 and (
            one.alone is None or one.alone.end < one.first.offset + 1 + self._alone_within
        )

    def _require_cluster(self) -> None:
        ports, began_ms = self.world.regions[self.region], _ms(self.world)
        try:
            # With the shorter deadline: when a source died is the better known the sooner it is seen.
            found = ports.health_reader.describe_cluster().cluster_id
        except UnreachableError:
            self._note_silence(began_ms)
            found = ports.reader.describe_cluster().cluster_id
        self._is_silent, self._silence = False, None
        expected = self.world.settings.regions[self.region].cluster.cluster_id
        require_known_cluster(self.region, found, expected)


def _ms(world: World) -> int:
    return int(world.clock.now().timestamp() * 1000)
