"""Collects what ``drkit status`` shows. Reads only; what cannot be read is shown as such."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drkit.domain.health import Unreachable
from drkit.domain.kafka import GroupOffsets, TopicPartition
from drkit.domain.lag import MirrorLag
from drkit.domain.replay import ReplayExposure, exposure_without_source, replay_exposure
from drkit.domain.scope import NameFilter
from drkit.domain.status import LastRun, NotRead, RedirectStatus, Status
from drkit.errors import AuthError, DrkitError, UnreachableError
from drkit.ports import Clock, KafkaReader, RedirectTarget
from drkit.verification.health_check import HealthCheck, check_all
from drkit.verification.lag_check import LagCheck


@dataclass(frozen=True, slots=True)
class ReplayCheck:
    """Measures the replay exposure of one flow.

    ``source``: the primary's reader. ``seen``: where groups would be known to be without the source, by the
    source's partitions.
    """

    source: KafkaReader
    groups: NameFilter
    topics: NameFilter
    seen: Callable[[], GroupOffsets]

    def run(self, *, is_silent: bool = False) -> ReplayExposure:
        """The exposure per group; unknown when the source does not answer, or ``is_silent`` and so is not asked.

        Raises what ``seen`` raises.
        """
        seen = {
            group: own
            for group, offsets in self.seen().items()
            if self.groups.matches(group) and (own := self._in_scope(offsets))
        }
        if is_silent:
            return exposure_without_source(seen)
        try:
            committed = self.source.committed_offsets(self.groups.select(self.source.groups()))
        except (UnreachableError, AuthError):
            return exposure_without_source(seen)
        mirrored = {group: own for group, offsets in committed.items() if (own := self._in_scope(offsets))}
        return replay_exposure(mirrored, seen)

    def _in_scope(self, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        return {partition: offset for partition, offset in offsets.items() if self.topics.matches(partition.topic)}


@dataclass(frozen=True, slots=True)
class StatusCheck:
    """Collects the status of one service.

    ``checks``: one per region; a single sample without a canary keeps them quick and free of writes. ``lag`` and
    ``replay``: None where no mirror is configured, ``offsets`` (the totals of a forecast) as well.
    """

    project: str
    environment: str
    primary: str
    standby: str
    checks: Sequence[HealthCheck]
    lag: LagCheck | None
    replay: ReplayCheck | None
    offsets: Callable[[], Mapping[str, Any]] | None
    redirects: Sequence[RedirectTarget]
    clock: Clock

    def run(self, last_run: LastRun | None = None) -> Status:
        """Everything, as it is now. Nothing is raised for what cannot be read."""
        regions = check_all(self.checks)
        primary = regions.get(self.primary)
        # Known to be silent, the source is not waited for again and again.
        is_silent = primary is not None and isinstance(primary.verdict, Unreachable)
        return Status(
            project=self.project,
            environment=self.environment,
            taken_at=self.clock.now().isoformat(),
            primary=self.primary,
            standby=self.standby,
            regions=regions,
            lag=self._lag(is_silent=is_silent),
            replay=self._replay(is_silent=is_silent),
            offsets=self._offsets(is_silent=is_silent),
            redirects={target.name: self._redirect(target) for target in self.redirects},
            last_run=last_run,
        )

    def _lag(self, *, is_silent: bool) -> MirrorLag | NotRead | None:
        if self.lag is None:
            return None
        try:
            return self.lag.run_or_seen(is_silent=is_silent)
        except DrkitError as error:
            return NotRead(error.message)

    def _replay(self, *, is_silent: bool) -> ReplayExposure | NotRead | None:
        if self.replay is None:
            return None
        try:
            return self.replay.run(is_silent=is_silent)
        except DrkitError as error:
            return NotRead(error.message)

    def _offsets(self, *, is_silent: bool) -> Mapping[str, Any] | NotRead | None:
        if self.offsets is None:
            return None
        if is_silent:
            return NotRead(f"{self.primary} does not answer; drkit offsets forecast goes by what was seen last")
        try:
            return self.offsets()
        except DrkitError as error:
            return NotRead(error.message)

    def _redirect(self, target: RedirectTarget) -> RedirectStatus | NotRead:
        try:
            values = target.observe().values
            answers = target.answers()
        except DrkitError as error:
            return NotRead(error.message)
        pointed = [region for region in (self.primary, self.standby) if target.values_for(region) == values]
        return RedirectStatus(target.name, values, pointed[0] if pointed else None, answers)
