"""The watch: samples what would be gone with the source, and keeps it on the surviving side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from drkit.backup.position_log import PositionWriter, Written
from drkit.backup.sync_archive import SyncArchive, archive_label
from drkit.backup.topic_history import TopicHistory
from drkit.config.mirror_templates import flow_of
from drkit.domain.kafka import GroupOffsets, TopicPartition
from drkit.domain.log_samples import Silence
from drkit.domain.mirror_flow import Flow, internal_topics
from drkit.domain.mm2_records import parse_offset_sync
from drkit.domain.samples import GroupSamples, KnownPositions, PositionSample
from drkit.domain.schedules import Grid
from drkit.domain.sync_log import LoggedSync
from drkit.engine.interrupt import Interrupt, InterruptedRunError
from drkit.engine.turns import turns
from drkit.errors import DrkitError, RefusedError, UnreachableError
from drkit.ports import TopicTail
from drkit.procedures.log_watch import LogWatch
from drkit.steps.fence_consumers import committed_in_scope
from drkit.steps.world import World
from drkit.verification.record_marks import Position, sample_positions

MOST_READ = 1000
"""Positions whose records are read in one look: what is left over is read in the next."""

_FIGURES = ("groups", "positions", "moved", "sampled", "left_over", "logs", "stored_bytes", "archived_syncs")

Primary = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Look:
    """What one look saw and stored. ``figures``: see ``document``. ``errors``: what could not be done."""

    at: str
    source: str
    target: str
    figures: Mapping[str, int]
    seconds: float
    errors: tuple[DrkitError, ...] = ()

    def document(self) -> dict[str, Any]:
        """``drkit.offsets-watch/1``.

        ``groups`` and ``positions`` there are, those that ``moved`` since the last look, positions whose records were
        ``sampled``, those ``left_over`` for the next look, ``logs`` whose ends were read, ``stored_bytes``, and
        ``archived_syncs``.
        """
        figures = dict.fromkeys(_FIGURES, 0) | dict(self.figures)
        return {
            "schema": "drkit.offsets-watch/1",
            "at": self.at,
            "source": self.source,
            "target": self.target,
            **figures,
            "seconds": self.seconds,
            "problems": [error.message for error in self.errors],
        }


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
        reader = self.world.regions[self.region].reader
        topics = {name: topic for name, topic in reader.topics().items() if self.world.topics.matches(name)}
        ends = self._logs.read(topics)
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
        samples = sample_positions(self.world.regions[self.region].reader, chosen, at_ms) if chosen else {}
        for group, positions in groups.items():
            groups[group] = {p: samples.get((p, one.upstream), one) for p, one in positions.items()}
        return len(samples), len(wanted) - len(chosen)

    def _stored(self, known: KnownPositions) -> Written:
        written: Written = self._writer.write(known)
        self._last = known
        if written.is_whole:
            self._writer.forget(known.as_of_ms)
        return written

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

    def _wanted(self, groups: GroupSamples) -> list[Position]:
        """Positions whose first record is not known, those first that were tried longest ago, or never."""
        self._looks += 1
        tried = {
            (p, one.upstream): self._tried.get((p, one.upstream), 0)
            for positions in groups.values()
            for p, one in positions.items()
            if one.first is None
        }
        wanted = sorted(tried, key=tried.__getitem__)
        self._tried = {**tried, **dict.fromkeys(wanted[: self.most_read], self._looks)}
        return wanted

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
        if found != expected:
            raise RefusedError(f"the cluster at {self.region} has id {found}, and {expected} is configured")


@dataclass(slots=True)
class SyncWatch:
    """The history of a flow's offset syncs: kept from compaction where it is, and archived."""

    world: World
    flow: Flow
    _tail: TopicTail | None = None
    _archive: SyncArchive | None = None
    _pending: list[LoggedSync] = field(default_factory=list)

    def look(self) -> dict[str, int]:
        """Archive what is new; the figures of ``Look``. Raises what the target or the store raises."""
        try:
            if self._tail is None or self._archive is None:
                self._tail, self._archive = self._begin()
            for record in self._tail.catch_up():
                sync = parse_offset_sync(record.key, record.value)
                self._pending.append(LoggedSync(record.offset, record.timestamp_ms, sync))
            archived_to = self._archive.archived_to
            syncs = [one for one in self._pending if one.record_offset >= archived_to]
            size = self._archive.append(syncs)
        except DrkitError:
            # Whatever it was, the topic may be another one next time.
            self.close()
            raise
        self._pending = []
        self._archive.join()
        return {"archived_syncs": len(syncs), "stored_bytes": size}

    def close(self) -> None:
        """Leave the topic."""
        if self._tail is not None:
            self._tail.close()
        self._tail, self._pending = None, []

    def _begin(self) -> tuple[TopicTail, SyncArchive]:
        name, ports = self.flow.offset_syncs_topic, self.world.regions[self.flow.target]
        topic = ports.reader.topics().get(name)
        if topic is None:
            raise RefusedError(
                f"{name} is not at {self.flow.target}: MirrorMaker 2 has not begun", hint="drkit mm2 apply begins it"
            )
        wanted = next(dict(one.configs) for one in internal_topics(self.flow) if one.name == name)
        missing = {key: value for key, value in wanted.items() if topic.configs.get(key) != value}
        if missing:
            ports.writer.alter_topic_configs(name, missing)
        archive = SyncArchive(self.world.store, archive_label(self.flow), topic.topic_id)
        return ports.reader.tail(name), archive


@dataclass(slots=True)
class Watch:
    """Follows the service: whichever region is primary is the one that is watched."""

    world: World
    primary: Primary
    owner: str
    most_read: int = MOST_READ
    syncs_every_seconds: float = 60.0
    _positions: PositionWatch | None = None
    _syncs: SyncWatch | None = None
    _syncs_due: float = 0.0

    def look(self) -> Look:
        """Both parts, each for itself. Raises only where it is not known which region is primary."""
        clock = self.world.clock
        started, at = clock.monotonic(), clock.now()
        errors: list[DrkitError] = []
        try:
            source = self.primary()
        except DrkitError as error:
            if self._positions is None:
                raise
            source = self._positions.region
            errors.append(error)
        figures: Counter[str] = Counter()
        for part in self._parts(source, started):
            try:
                figures.update(part())
            except DrkitError as error:
                errors.append(error)
        return Look(
            at.isoformat(timespec="milliseconds"),
            source,
            self.world.settings.other(source),
            figures,
            round(clock.monotonic() - started, 3),
            tuple(errors),
        )

    def _parts(self, source: str, now: float) -> Iterator[Callable[[], Mapping[str, int]]]:
        if self._positions is None or self._syncs is None or self._positions.region != source:
            self.close()
            self._positions = PositionWatch(self.world, source, self.owner, self.most_read)
            self._syncs = SyncWatch(self.world, flow_of(self.world.settings, source))
            self._syncs_due = now
        yield self._positions.look
        if now >= self._syncs_due:
            self._syncs_due = now + self.syncs_every_seconds
            yield self._syncs.look

    def close(self) -> None:
        """Leave what is followed."""
        if self._syncs is not None:
            self._syncs.close()


def watch_on(
    watch: Watch, show: Callable[[Look], None], interrupt: Interrupt, *, every_seconds: float, once: bool
) -> None:
    """Look at the moments of a schedule until a signal comes, or once; then leave what is followed.

    What goes wrong in one look is shown with it, and tried again in the next. ``once``, and before the first look, it
    is raised.
    """
    try:
        with interrupt.installed():
            for _ in turns(Grid(every_seconds), watch.world.clock):
                look = watch.look()
                show(look)
                if once:
                    if look.errors:
                        raise look.errors[0]
                    return
                # A look may take longer than the time between two.
                interrupt.raise_if_asked()
    except InterruptedRunError:
        # To be ended is how a service ends.
        return
    finally:
        watch.close()


def _ms(world: World) -> int:
    return int(world.clock.now().timestamp() * 1000)
