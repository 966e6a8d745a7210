"""The watch: samples what would be gone with the source, and keeps it on the surviving side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from drkit.backup.sync_archive import SyncArchive, archive_label
from drkit.config.mirror_templates import flow_of
from drkit.domain.mirror_flow import Flow, internal_topics
from drkit.domain.mm2_records import parse_offset_sync
from drkit.domain.sync_log import LoggedSync
from drkit.errors import DrkitError, RefusedError
from drkit.ports import TopicTail
from drkit.procedures.position_watch import MOST_READ, PositionWatch
from drkit.steps.world import World

__all__ = ["MOST_READ", "Look", "SyncWatch", "Watch"]

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
