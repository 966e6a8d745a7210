"""The readings that plans, checks and the status are made from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache

from drkit.backup.position_log import PositionLog
from drkit.backup.sync_archive import SyncArchive, archive_label
from drkit.backup.topic_history import TopicHistory
from drkit.config.mirror_templates import flow_of
from drkit.domain.health import Expectation, RegionHealth, Role
from drkit.domain.kafka import GroupOffsets, TopicPartition
from drkit.domain.lag import MirrorLag, NotKnown
from drkit.domain.mirror_flow import Flow
from drkit.domain.mode import FailoverMode
from drkit.domain.naming import TopicNames
from drkit.domain.offsets import Bounded, Exact
from drkit.domain.positions import GroupPosition, never_mirrored, replay_amount, totals
from drkit.domain.samples import SampleProvider, Samples
from drkit.domain.scope import partitions_in_scope
from drkit.domain.sync_log import LoggedSync
from drkit.ports import KafkaReader
from drkit.procedures.plan import PositionsForecast
from drkit.steps.fence_consumers import committed_in_scope
from drkit.steps.source_backup import SourceBackup
from drkit.steps.source_loss import SourceLoss
from drkit.steps.source_positions import SourcePositions
from drkit.steps.world import World
from drkit.verification.counted import CountedLogs
from drkit.verification.health_check import HealthCheck, HealthSettings, MirrorWatch, check_all
from drkit.verification.lag_check import LagCheck
from drkit.verification.mirror_evidence import CheckpointPositions, StatusTopic, SyncHistory
from drkit.verification.positions import Translator

_FRESH_SECONDS = 60.0
"""Samples of health that are younger count together with new ones: a plan that is carried out at once."""

_LOOKS = 4
_LOOK_SECONDS = 1.0
"""A mirror at work has moved on by then; what three more looks did not decide stays open."""


@dataclass(frozen=True, slots=True)
class Readings:
    """Reads both regions of a service; a canary is the only thing it writes."""

    world: World
    _recent: dict[tuple[str, Role], tuple[float, RegionHealth]] = field(default_factory=dict)
    _histories: dict[str, SyncHistory] = field(default_factory=dict)
    _counted: dict[str, CountedLogs] = field(default_factory=dict)
    _backups: dict[str, SourceBackup] = field(default_factory=dict)

    def health(self, roles: Mapping[str, Role]) -> Mapping[str, RegionHealth]:
        """Several samples of each region, side by side; one more where there are fresh ones already."""
        now = self.world.clock.monotonic
        checks = []
        for region, role in roles.items():
            at, earlier = self._recent.get((region, role), (0.0, None))
            fresh = earlier.samples if earlier is not None and now() - at < _FRESH_SECONDS else ()
            checks.append(replace(self.health_check(region, role), earlier=fresh))
        found = check_all(checks)
        self._recent.update({(region, role): (now(), found[region]) for region, role in roles.items()})
        return found

    def health_anew(self, roles: Mapping[str, Role]) -> Mapping[str, RegionHealth]:
        """As ``health``, of a world that has changed since: earlier samples do not count."""
        self._recent.clear()
        return self.health(roles)

    def health_check(self, region: str, role: Role, *, quick: bool = False) -> HealthCheck:
        """The check of one region. ``quick``: one sample, and nothing is written."""
        settings, ports = self.world.settings, self.world.regions[region]
        configured = settings.regions[region]
        watch = None
        if ports.mirror is not None and role is Role.STANDBY:
            flow = flow_of(settings, settings.other(region))
            watch = MirrorWatch(
                connect=ports.mirror.reader,
                source_connector=ports.mirror.source_connector,
                side_connectors=ports.mirror.other_connectors,
                heartbeats_topic=flow.mirrored_heartbeats_topic,
            )
        return HealthCheck(
            reader=ports.health_reader,
            writer=None if quick else ports.writer,
            mirror=watch,
            probes=ports.probes,
            clock=self.world.clock,
            settings=HealthSettings(
                expected=Expectation(role, configured.cluster.cluster_id),
                canary_topic=settings.canary_topic,
                topics=self.world.topics,
                samples=1 if quick else configured.health.samples,
                interval_seconds=configured.health.interval_seconds,
            ),
        )

    def lag_check(self, source: str, target: str) -> LagCheck:
        """The lag of the flow."""
        mirror = self.world.mirror_into(target)
        reader = self.world.regions[source].reader
        loss = SourceLoss(self.world, source, PositionLog(self.world.store, source), self._backup(source))
        return LagCheck(
            reader, mirror.reader, mirror.source_connector, self.world.topics, self.world.clock, loss.measure
        )

    def mirror_lag(self, source: str, target: str, mode: FailoverMode) -> MirrorLag:
        """What is not mirrored yet; by what was seen last of the source when it is gone."""
        if mode is FailoverMode.PLANNED:
            return self.lag_check(source, target).run()
        # A source that is declared gone may still take writes: what it says now bounds nothing.
        return self.lag_check(source, target).run_or_seen(is_silent=True)

    def names(self, source: str) -> TopicNames:
        """How the flow from ``source`` renames topics."""
        replication = self.world.settings.replication
        return TopicNames(replication.policy, source, replication.separator)

    def translator(self, source: str, target: str, mode: FailoverMode) -> Translator:
        """Translates positions of the flow; the source is asked only while it is alive."""
        mirror, flow = self.world.mirror_into(target), flow_of(self.world.settings, source)
        reader = self.world.regions[target].reader
        alive = self.world.regions[source].reader if mode is FailoverMode.PLANNED else None
        once = self.world.settings.replication.exactly_once
        connect = self.world.settings.regions[target].connect
        # drkit's own templates make the producer idempotent: but for starts of tasks, nothing repeats records.
        statuses = None if once or connect is None else StatusTopic(reader, connect.status_topic, flow.source_connector)
        names = self.names(source)
        return Translator(
            target=reader,
            history=self._history(flow, statuses),
            mirrored=mirror.positions,
            rename=names.on_target,
            source=alive,
            exactly_once=once,
            samples=None if alive is not None else self._watched_samples(source),
            floors=CheckpointPositions(reader, flow, names.on_source).floors,
            compacted=cache(lambda: self._compacted(names, reader, alive)),
            counted=self._counted.setdefault(flow.source, CountedLogs(reader)),
        )

    def _history(self, flow: Flow, statuses: StatusTopic | None) -> SyncHistory:
        """One for all translations of the flow: it may be millions of syncs, and is followed once it was read."""
        if flow.source in self._histories:
            return self._histories[flow.source]
        reader, store = self.world.regions[flow.target].reader, self.world.store

        def archived() -> Sequence[LoggedSync]:
            topic = reader.topics().get(flow.offset_syncs_topic)
            return [] if topic is None else SyncArchive(store, archive_label(flow), topic.topic_id).read()

        def renewed() -> Mapping[str, int]:
            return TopicHistory(store, flow.source).read().renewed_ms

        history = SyncHistory(reader, flow.offset_syncs_topic, statuses, archived, renewed)
        return self._histories.setdefault(flow.source, history)

    def _watched_samples(self, source: str) -> SampleProvider:
        watched = PositionLog(self.world.store, source)

        def samples(positions: Collection[tuple[TopicPartition, int]]) -> Samples:
            known = watched.newest()
            return {} if known is None else known.samples(positions)

        return samples

    @staticmethod
    def _compacted(names: TopicNames, target: KafkaReader, source: KafkaReader | None) -> frozenset[str]:
        """Source names of topics that are compacted at either end."""
        found = {names.on_source(name) for name, topic in target.topics().items() if topic.is_compacted}
        if source is not None:
            found |= {name for name, topic in source.topics().items() if topic.is_compacted}
        return frozenset(found)

    def source_positions(self, source: str, target: str) -> SourcePositions:
        """Positions that outlive the source."""
        flow = flow_of(self.world.settings, source)
        reader = self.world.regions[target].reader
        checkpoints = CheckpointPositions(reader, flow, self.names(source).on_source)
        watched = PositionLog(self.world.store, source)
        return SourcePositions(self.world, source, checkpoints, watched, self._backup(source))

    def _backup(self, source: str) -> SourceBackup:
        """One for everything that is asked of a source."""
        return self._backups.setdefault(source, SourceBackup(self.world, source))

    def checkpointed(self, source: str, target: str) -> GroupOffsets:
        """The newest checkpoints' upstream offsets."""
        found = self.source_positions(source, target).checkpoints.read()
        return {group: {p: offset for p, (offset, _) in offsets.items()} for group, offsets in found.items()}

    def committed(self, source: str, target: str, mode: FailoverMode) -> GroupOffsets:
        """Where groups are on the source, or were when somebody saw them last."""
        if mode is FailoverMode.PLANNED:
            return committed_in_scope(self.world, self.world.regions[source].reader)
        return self.source_positions(source, target).without_source().committed

    def translate(
        self,
        source: str,
        target: str,
        mode: FailoverMode,
        groups: Sequence[str] = (),
        *,
        as_if_drained: bool = False,
    ) -> list[GroupPosition]:
        """Every group's position now, without writing it; ``as_if_drained``: as it will be once nothing is left."""
        # Two regions: what MM2 wrote at one is read while the other names its groups' positions.
        history = self.translator(source, target, mode).history
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="history") as pool:
            reading = pool.submit(history.read)
            committed = self.committed(source, target, mode)
            reading.result()
        chosen = {group: offsets for group, offsets in committed.items() if not groups or group in groups}
        return self.placed(source, target, mode, chosen, as_if_drained=as_if_drained)

    def placed(
        self, source: str, target: str, mode: FailoverMode, committed: GroupOffsets, *, as_if_drained: bool
    ) -> list[GroupPosition]:
        """These groups' positions; what a mirror at work leaves open is looked at again."""
        drained_to = self.drained_to(source, mode) if as_if_drained else None
        rows = self.translator(source, target, mode).translate(committed, drained_to=drained_to)
        return self._decided(source, target, rows) if mode is FailoverMode.PLANNED else rows

    def drained_to(self, source: str, mode: FailoverMode) -> Mapping[TopicPartition, int] | None:
        """The log ends as a planned move would find them drained; None where the source is gone."""
        if mode is not FailoverMode.PLANNED:
            return None
        reader = self.world.regions[source].reader
        partitions = partitions_in_scope(reader.describe_topics().values(), self.world.topics)
        return {p: log.end for p, log in reader.log_ranges(partitions).items()}

    def close(self) -> None:
        """Leave the topics that are followed."""
        for history in self._histories.values():
            history.close()

    def renewed_topics(self, source: str) -> frozenset[str]:
        """Topics that were made anew since the watch saw them first."""
        return frozenset(TopicHistory(self.world.store, source).read().renewed_ms)

    def positions(self, source: str, target: str, mode: FailoverMode) -> PositionsForecast:
        """What a move would make of the groups.

        In planned mode a group that is ahead of the mirror now is not a finding: the mirror is drained first.
        """
        rows = self.translate(source, target, mode, as_if_drained=mode is FailoverMode.PLANNED)
        notes: tuple[str, ...] = ()
        replay = replay_amount(rows)
        if mode is FailoverMode.DISASTER:
            notes = (self._age_note(source, target),)
            if not rows:
                replay = NotKnown("no checkpoint, no snapshot, no backup and no watch says where any group was")
            return PositionsForecast(totals(rows), replay, never_mirrored(rows), notes, self._unplaced(source, target))
        return PositionsForecast(totals(rows), replay, never_mirrored(rows), notes)

    def _decided(self, source: str, target: str, rows: Sequence[GroupPosition]) -> list[GroupPosition]:
        """The same positions, with what a mirror at work left open looked at again.

        What was copied while the ends were read looks like records of somebody else's. Taken for what it is, or once
        the mirror is past it, it decides; what stays open after that would stay so in a move.
        """
        found = {(row.group, row.partition): row for row in rows}
        for attempt in range(_LOOKS):
            undecided = [row for row in found.values() if isinstance(row.verdict, Bounded)]
            if not undecided:
                break
            if attempt:
                self.world.clock.sleep(_LOOK_SECONDS)
            committed: dict[str, dict[TopicPartition, int]] = {}
            for row in undecided:
                committed.setdefault(row.group, {})[row.partition] = row.upstream
            again = self.translator(source, target, FailoverMode.PLANNED).translate(committed)
            found.update({(row.group, row.partition): row for row in again if isinstance(row.verdict, Exact)})
        return list(found.values())

    def _unplaced(self, source: str, target: str) -> str:
        """Names what MirrorMaker 2 wrote offset syncs for, and Kafka Connect has no position of.

        A connector that was made anew under another name, or whose offsets were reset.
        """
        synced, mirrored = self._histories[source].read(), self.world.mirror_into(target).positions()
        found = sorted(p for p in synced.keys() - mirrored.keys() if self.world.topics.matches(p.topic))
        if not found:
            return ""
        return f"how far {len(found)} partitions were mirrored, known from offset syncs alone (first {found[0]})"

    def _age_note(self, source: str, target: str) -> str:
        age = self.source_positions(source, target).without_source().age_seconds
        last = "" if age is None else f", the newest of {age:.0f} s ago"
        return (
            f"groups continue from what was last known of them (watch, checkpoints, snapshot, backup{last}): what they "
            "consumed after that is read again, and cannot be counted while the source is gone"
        )
