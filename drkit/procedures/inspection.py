"""What can be seen and set of a service outside a run: status, positions, the standby's fence, the mirror."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from drkit.config.mirror_templates import flow_of
from drkit.config.models import Settings
from drkit.domain.health import Role
from drkit.domain.kafka import GroupOffsets
from drkit.domain.mode import FailoverMode
from drkit.domain.status import LastRun, status_text, status_to_json
from drkit.errors import DrkitError, RefusedError, UnreachableError, UsageError
from drkit.ports import Clock, KafkaReader, Progress
from drkit.procedures.backups import Backups
from drkit.procedures.forecast import Forecaster
from drkit.procedures.parity import RegionParity
from drkit.procedures.readings import Readings
from drkit.procedures.run_history import RunHistory
from drkit.procedures.topics import TopicCatalogue
from drkit.steps.lineage_record import LineageRecord
from drkit.steps.mirror_install import apply_mirror, inspect_mirror
from drkit.steps.world import World
from drkit.verification.status_check import ReplayCheck, StatusCheck


class Inspection:
    """Reads a service, and sets what a failover stands on."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock
        self._record = LineageRecord(world.store)
        self._readings = Readings(world)

    @property
    def settings(self) -> Settings:
        """The configuration."""
        return self._world.settings

    @property
    def primary(self) -> str:
        """The region that is primary now, by the lineage."""
        return self._record.read().primary(self.settings.primary)

    @property
    def parity(self) -> RegionParity:
        """The two regions compared."""
        return RegionParity(self._world, lambda: self.primary, self._alone)

    @property
    def topics(self) -> TopicCatalogue:
        """The topics of the environment."""
        return TopicCatalogue(self._world, lambda: self.primary, self._alone)

    @property
    def is_new(self) -> bool:
        """Whether no change of direction was ever recorded."""
        return not self._record.read().epochs

    @property
    def backups(self) -> Backups:
        """The backups of both regions."""
        return Backups(self._world, lambda: self.primary, RunHistory(self._world.store).unfinished)

    def close(self) -> None:
        """Leave what was followed."""
        self._readings.close()

    def checkpointed_groups(self) -> frozenset[str]:
        """Groups whose position outlives the source: MM2 has emitted a checkpoint."""
        primary = self.primary
        return frozenset(self._readings.checkpointed(primary, self.settings.other(primary)))

    def positions_without(self, source: str) -> GroupOffsets:
        """Committed offsets of the source's groups that outlive it: seen by the watch, MM2 or a snapshot."""
        return self._readings.source_positions(source, self.settings.other(source)).without_source().committed

    def translate(self, source: str, target: str, groups: Sequence[str]) -> list[dict[str, Any]]:
        """Positions now, without writing them; from what was last seen when the source does not answer."""
        mode = self._mode(source, target)
        return [position.row for position in self._readings.translate(source, target, mode, groups)]

    def forecast(self, source: str, target: str, groups: Sequence[str], *, measure_seconds: float) -> dict[str, Any]:
        """``drkit.offsets-forecast/1``."""
        mode = self._mode(source, target)
        forecaster = Forecaster(self._world, self._readings, source, target, mode)
        return forecaster.forecast(groups, measure_seconds=measure_seconds).document()

    def _mode(self, source: str, target: str) -> FailoverMode:
        """Planned while the source answers. Raises ``UsageError`` if these are not the two regions."""
        if {source, target} != set(self.settings.regions):
            raise UsageError(
                f"--from {source} --to {target} are not the two regions",
                hint=f"regions: {', '.join(self.settings.regions)}",
            )
        try:
            self._world.regions[source].reader.describe_cluster()
        except UnreachableError:
            return FailoverMode.DISASTER
        return FailoverMode.PLANNED

    def status(self, last_run: LastRun | None) -> dict[str, Any]:
        """``drkit.status/1``, with ``text`` for people."""
        primary = self.primary
        standby = self.settings.other(primary)
        mirrored = self._world.regions[standby].mirror is not None
        check = StatusCheck(
            project=self.settings.project,
            environment=self.settings.environment,
            primary=primary,
            standby=standby,
            checks=[
                self._readings.health_check(region, role, quick=True)
                for region, role in ((primary, Role.PRIMARY), (standby, Role.STANDBY))
            ],
            lag=self._readings.lag_check(primary, standby) if mirrored else None,
            replay=self._replay_check(primary, standby) if mirrored else None,
            offsets=(lambda: self._forecast_totals(primary, standby)) if mirrored else None,
            redirects=self._world.redirects,
            clock=self._clock,
        )
        found = check.run(last_run)
        text = [
            status_text(found),
            *(f"state  {label}, not the state bucket" for label in self._world.kept_in.values()),
        ]
        return {**status_to_json(found), **self._world.kept_in, "text": "\n".join(text)}

    def fence_status(self, region: str) -> dict[str, Any]:
        """``drkit.fence-status/1``."""
        self._world.require_region(region)
        fenced = self._world.regions[region].fence.is_put()
        return {"schema": "drkit.fence-status/1", "region": region, "fenced": fenced}

    def fence_put(self, region: str) -> dict[str, Any]:
        """Fence the standby. Refused for the primary, and beside a run."""
        self._world.require_region(region)
        if region == self.primary:
            raise RefusedError(
                f"{region} is the primary: fencing it stops the applications", hint="a failover fences it by itself"
            )
        with self._alone("fence-put"):
            self._world.require_known_cluster(region)
            self._world.regions[region].fence.put_producers()
        return {"schema": "drkit.fence-status/1", "region": region, "fenced": True}

    def fence_lift(self, region: str) -> dict[str, Any]:
        """Lift the fences of producers and of groups. Refused beside a run, which stands on them."""
        self._world.require_region(region)
        with self._alone("fence-lift"):
            self._world.require_known_cluster(region)
            self._world.regions[region].fence.lift_producers()
            self._world.regions[region].fence.lift_consumers()
        return {"schema": "drkit.fence-status/1", "region": region, "fenced": False}

    def mm2_apply(self, source: str | None, *, resume: bool, progress: Progress) -> dict[str, Any]:
        """Make the mirror as rendered. Refused beside a run."""
        with self._alone("mm2-apply", progress):
            primary = self.primary
            flow = flow_of(self.settings, source or primary)
            return apply_mirror(self._world, flow, primary=primary, resume=resume, progress=progress).document()

    def mm2_status(self, source: str | None) -> dict[str, Any]:
        """The mirror as it is."""
        return inspect_mirror(self._world, flow_of(self.settings, source or self.primary)).document()

    def _alone(self, purpose: str, progress: Progress = lambda _: None) -> AbstractContextManager[None]:
        """While it is entered nobody else changes the service. Raises ``RefusedError`` beside an unfinished run."""
        raise NotImplementedError

    def _forecast_totals(self, primary: str, standby: str) -> Mapping[str, Any]:
        return Forecaster(self._world, self._readings, primary, standby, FailoverMode.PLANNED).forecast().totals

    def _replay_check(self, primary: str, standby: str) -> ReplayCheck:
        reader: KafkaReader = self._world.regions[primary].reader
        return ReplayCheck(reader, self._world.groups, self._world.topics, lambda: self.positions_without(primary))

    def redirect_problems(self, source: str) -> list[str]:
        """Redirect targets that do not point at the primary."""
        problems = []
        for target in self._world.redirects:
            try:
                values = target.observe().values
            except DrkitError as error:
                problems.append(f"{target.name}: {error.message}")
                continue
            if values != target.values_for(source):
                problems.append(f"{target.name} is {', '.join(values) or 'empty'}, not the primary's value")
        return problems
