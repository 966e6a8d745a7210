"""Positions of groups on a source that does not answer.

They come from checkpoints, the newest snapshot and backup, what the watch saw, and what a run read behind its fence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from drkit.backup.position_log import PositionLog
from drkit.domain.kafka import GroupOffsets, TopicPartition
from drkit.domain.partition_tree import from_tree
from drkit.engine import journal as journals
from drkit.steps.snapshot import newest_snapshot, snapshot_positions
from drkit.steps.source_backup import Dated, SourceBackup
from drkit.steps.world import World
from drkit.verification.mirror_evidence import CheckpointPositions


@dataclass(frozen=True, slots=True)
class DatedPositions:
    """Where groups were, and when that was known. ``now``: when it was asked for."""

    groups: Mapping[str, Mapping[TopicPartition, Dated]]
    now: datetime

    @property
    def committed(self) -> GroupOffsets:
        """The committed offsets."""
        return {group: {p: offset for p, (offset, _) in offsets.items()} for group, offsets in self.groups.items()}

    @property
    def evidence(self) -> Mapping[str, str]:
        """How old each group's are."""
        return {
            group: f"last known {self._age_seconds(max(at for _, at in offsets.values())):.0f} s ago"
            for group, offsets in self.groups.items()
        }

    @property
    def age_seconds(self) -> float | None:
        """How long ago the newest of all was known; None if nothing is."""
        moments = [at for offsets in self.groups.values() for _, at in offsets.values()]
        return self._age_seconds(max(moments)) if moments else None

    def _age_seconds(self, at_ms: int) -> float:
        # Whoever wrote it down may have another clock.
        return max(0.0, (self.now - datetime.fromtimestamp(at_ms / 1000, UTC)).total_seconds())


@dataclass(frozen=True, slots=True)
class SourcePositions:
    """Joins what outlives the source. Per group and partition the newest counts."""

    world: World
    source: str
    checkpoints: CheckpointPositions
    watched: PositionLog
    backup: SourceBackup

    def without_source(self) -> DatedPositions:
        """The newest positions of every group in scope."""
        positions = {group: offsets for group, offsets in self._dated().items() if self.world.groups.matches(group)}
        return DatedPositions(positions, self.world.clock.now())

    def _dated(self) -> Mapping[str, Mapping[TopicPartition, Dated]]:
        positions = self._from_snapshot()
        for source in (self.backup.groups(), self.checkpoints.read(), self._behind_fence()):
            for group, offsets in source.items():
                known = positions.setdefault(group, {})
                for partition, (offset, at_ms) in offsets.items():
                    if partition not in known or at_ms >= known[partition][1]:
                        known[partition] = (offset, at_ms)
        watched = self.watched.newest()
        if watched is not None:
            # The watch sees every position: one that it does not have was gone by then, checkpoint or not.
            positions = {
                group: {p: (offset, at) for p, (offset, at) in offsets.items() if at > watched.as_of_ms}
                for group, offsets in positions.items()
            }
            for group, committed in watched.committed.items():
                known = positions.setdefault(group, {})
                for partition, offset in committed.items():
                    known.setdefault(partition, (offset, watched.as_of_ms))
        return {group: offsets for group, offsets in positions.items() if offsets}

    def _behind_fence(self) -> Mapping[str, Mapping[TopicPartition, Dated]]:
        """What the newest run, or one that it took the place of, read when the source's groups were fenced."""
        run_id = next(iter(journals.run_ids(self.world.store)), None)
        while run_id is not None:
            state = journals.load(self.world.store, run_id)
            found = state.evidence.get("fence-consumers", {})
            if state.plan.source == self.source and "read_at" in found:
                at_ms = int(datetime.fromisoformat(found["read_at"]).timestamp() * 1000)
                return {
                    group: {p: (offset, at_ms) for p, offset in from_tree(tree).items()}
                    for group, tree in found["committed"].items()
                }
            run_id = state.plan.supersedes
        return {}

    def _from_snapshot(self) -> dict[str, dict[TopicPartition, Dated]]:
        snapshot = newest_snapshot(self.world, self.source)
        if snapshot is None:
            return {}
        at_ms = int(datetime.fromisoformat(snapshot["taken_at"]).timestamp() * 1000)
        return {
            group: {p: (offset, at_ms) for p, offset in offsets.items()}
            for group, offsets in snapshot_positions(snapshot).items()
        }
