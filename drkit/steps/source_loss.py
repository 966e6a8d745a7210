"""What is lost with a source that does not answer, by the newest of what others saw of its logs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drkit.backup.position_log import PositionLog
from drkit.backup.topic_history import TopicHistory
from drkit.domain.kafka import LogRange, TopicPartition
from drkit.domain.lag import MirrorLag
from drkit.domain.log_samples import Sighting, Sightings, horizon, newest_sightings, sightings_of
from drkit.domain.loss import loss_to_json, loss_without_source
from drkit.domain.partition_tree import from_tree
from drkit.domain.samples import KnownPositions
from drkit.steps.snapshot import newest_snapshot
from drkit.steps.source_backup import SourceBackup
from drkit.steps.world import World


@dataclass(frozen=True, slots=True)
class SourceLoss:
    """Measures the loss of one flow from ``source``. The source is never asked.

    The newest look of the watch counts (``watched``), or backup, or snapshot.
    """

    world: World
    source: str
    watched: PositionLog
    backup: SourceBackup

    def measure(
        self, mirrored: Mapping[TopicPartition, int], *, is_stopped: bool = False, silent_at: datetime | None = None
    ) -> MirrorLag:
        """The loss of every partition in scope that was mirrored, or seen.

        ``mirrored``: last replicated upstream offset, by Connect's own offsets. ``is_stopped``: no more will be.
        ``silent_at``: when the source was found not to answer; None: now. Raises ``RefusedError`` for what was stored
        and cannot be read.
        """
        known = self.watched.newest()
        seen = self._sightings(known)
        silent_ms = _ms(silent_at or self.world.clock.now())
        return loss_without_source(
            {p for p in {*mirrored, *seen} if self.world.topics.matches(p.topic)},
            mirrored,
            seen,
            horizon(None if known is None else known.as_of_ms, self.watched.silences(), silent_ms),
            is_settled=is_stopped or self.world.settings.replication.exactly_once,
            renewed=TopicHistory(self.world.store, self.source).read().renewed_ms,
        )

    def document(self, lag: MirrorLag) -> dict[str, Any]:
        """The loss as evidence."""
        return loss_to_json(lag, _ms(self.world.clock.now()))

    def _sightings(self, known: KnownPositions | None) -> Sightings:
        watched = {} if known is None else sightings_of(known.logs, known.as_of_ms, "watch")
        return newest_sightings(watched, self.backup.logs(), self._in_snapshot())

    def _in_snapshot(self) -> Sightings:
        snapshot = newest_snapshot(self.world, self.source)
        if snapshot is None:
            return {}
        at_ms = _ms(datetime.fromisoformat(snapshot["taken_at"]))
        # A snapshot has the ends alone: what is not known of a log makes the loss no smaller.
        return {
            p: Sighting(LogRange(0, end, end), at_ms, "snapshot") for p, end in from_tree(snapshot["log_ends"]).items()
        }


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
