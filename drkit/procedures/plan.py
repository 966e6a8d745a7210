"""The plan of a move: what is about to be done, what it would cost, and what forbids it. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from drkit.domain.health import RegionHealth, Role, health_to_json
from drkit.domain.lag import NO_RECORD, Amount, MirrorLag, NotKnown, amount_to_json
from drkit.domain.loss import loss_to_json
from drkit.domain.mode import FailoverMode, ModeRefused, RequestedMode, decide_mode
from drkit.domain.naming import printable
from drkit.domain.objectives import Acceptance, Accepted, Allowed, Forecast, Limits, Refused, hold_against
from drkit.engine.step import Procedure, RunContext
from drkit.errors import RefusedError, UnreachableError
from drkit.steps.lineage_record import LineageRecord
from drkit.steps.snapshot import newest_snapshot
from drkit.steps.world import World

SCHEMA: Final = "drkit.plan/1"

_SETTLED_SECONDS: Final = 3600.0
"""A move within this time after another one needs a reason."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for on the command line."""

    procedure: str
    target: str
    mode: str = "auto"
    accept_loss: Acceptance = None
    accept_replay: Acceptance = None
    source_is_gone: bool = False
    mirror_is_gone: bool = False
    """No connector carries records into the target, and none runs anywhere else."""
    accept_foreign_groups: bool = False
    supersede: bool = False
    """Take the place of a run that is unfinished."""
    again: str | None = None
    """Why the service is moved again so soon."""
    if_source_dies: str | None = None
    """``disaster``: should the source die in a planned run, a disaster move takes its place without asking."""


@dataclass(frozen=True, slots=True)
class PositionsForecast:
    """How groups would be placed now: figures of the report's ``offsets``, and the records read again.

    ``never_mirrored``: records that groups have not read, and that are below where the mirror began.
    """

    totals: Mapping[str, Any]
    replay: Amount
    never_mirrored: Amount = NO_RECORD
    notes: tuple[str, ...] = ()
    unplaced: str = ""
    """What nobody can tell of a source that is gone, so that its loss is not known either."""


class Survey(Protocol):
    """The readings that a plan is made from."""

    def health(self, roles: Mapping[str, Role]) -> Mapping[str, RegionHealth]:
        """Both regions' health."""

    def mirror_lag(self, source: str, target: str, mode: FailoverMode) -> MirrorLag:
        """What is not mirrored yet."""

    def positions(self, source: str, target: str, mode: FailoverMode) -> PositionsForecast:
        """How groups would be placed now."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan that can be shown, refused or run."""

    request: Request
    mode: FailoverMode
    reason: str
    source: str
    target: str
    procedure: Procedure
    health: Mapping[str, RegionHealth]
    lag: MirrorLag
    forecast: Forecast
    positions: PositionsForecast
    verdict: Allowed | Refused
    warnings: tuple[str, ...]
    steps: tuple[tuple[str, str], ...]
    """Step name and what it will do."""
    supersedes: str | None = None
    """The unfinished run that this one takes the place of."""
    loss: Mapping[str, Any] | None = None
    """Disaster mode: what the loss is known from, as ``drkit.domain.loss.loss_to_json`` has it."""

    @property
    def budgets(self) -> Mapping[str, float | None]:
        """The steps in order, each with the longest that it waits, in seconds."""
        return {step.name: step.budget_seconds for step in self.procedure.steps}

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why it must not be run as it was asked for."""
        return self.verdict.reasons if isinstance(self.verdict, Refused) else ()

    def require_allowed(self) -> None:
        """Raise ``RefusedError`` if the forecast is above the objectives and was not accepted."""
        if isinstance(self.verdict, Refused):
            raise RefusedError(
                "; ".join(self.verdict.reasons),
                hint=f"nothing was changed; to accept this risk add {' '.join(self.verdict.flags)}",
            )

    @property
    def document(self) -> dict[str, Any]:
        """``drkit.plan/1``."""
        return {
            "schema": SCHEMA,
            "procedure": self.procedure.name,
            "mode": self.mode.value,
            "reason": self.reason,
            "from": self.source,
            "to": self.target,
            "supersedes": self.supersedes,
            "allowed": not self.refusals,
            "refusals": list(self.refusals),
            "flags": list(self.verdict.flags) if isinstance(self.verdict, Refused) else [],
            "accepted": list(self.verdict.accepted) if isinstance(self.verdict, Allowed) else [],
            "warnings": list(self.warnings),
            "health": {region: health_to_json(health) for region, health in self.health.items()},
            "forecast": {
                "records_lost": amount_to_json(self.forecast.loss),
                "records_read_again": amount_to_json(self.forecast.replay),
                "records_to_mirror": amount_to_json(self.lag.records),
                **({} if self.loss is None else {"loss": dict(self.loss)}),
                "offsets": dict(self.positions.totals),
            },
            "steps": [{"name": name, "does": text} for name, text in self.steps],
        }


@dataclass(frozen=True, slots=True)
class Planner:
    """Makes plans. ``compose`` gives the procedure for a mode."""

    world: World
    record: LineageRecord
    survey: Survey
    compose: Callable[[str, FailoverMode, str, str], Procedure]

    def plan(self, request: Request) -> Plan:
        """Look at the world and plan the move.

        Raises ``UsageError`` for an unknown region, ``RefusedError`` when no mode applies, or when a planned move's
        mirror cannot be drained, ``AuthError`` when a cluster refuses drkit. A plan whose forecast is above the
        objectives is returned: ``require_allowed`` refuses it.
        """
        source, target = self._direction(request.target)
        self._require_settled(request)
        self._require_known_clusters(source, target)
        health = self.survey.health({source: Role.PRIMARY, target: Role.STANDBY})
        decision = decide_mode(
            RequestedMode(request.mode),
            health[source].verdict,
            health[target].verdict,
            source_is_gone=request.source_is_gone,
        )
        if isinstance(decision, ModeRefused):
            raise RefusedError(decision.reason, hint=decision.hint)
        mode = decision.mode
        lag = self.survey.mirror_lag(source, target, mode)
        self._require_drainable(mode, lag)
        foreign = self._foreign_groups(request, source, mode)
        positions = self.survey.positions(source, target, mode)
        forecast = self._forecast(mode, lag, positions)
        procedure = self.compose(request.procedure, mode, source, target)
        context = RunContext("", mode, source, target, {}, lambda _: None)
        for step in procedure.steps:
            step.check(context)
        return Plan(
            request=request,
            mode=mode,
            reason=decision.reason,
            source=source,
            target=target,
            procedure=procedure,
            health=health,
            lag=lag,
            forecast=forecast,
            positions=positions,
            verdict=hold_against(forecast, self._limits(), Accepted(request.accept_loss, request.accept_replay)),
            warnings=(self.world.stand_in.warnings if self.world.stand_in else ())
            + decision.warnings
            + foreign
            + positions.notes,
            steps=tuple((step.name, step.describe(context)) for step in procedure.steps),
            loss=None if mode is FailoverMode.PLANNED else loss_to_json(lag, self._now_ms()),
        )

    def _direction(self, target: str) -> tuple[str, str]:
        self.world.require_region(target)
        primary = self.record.read().primary(self.world.settings.primary)
        if primary == target:
            raise RefusedError(f"{target} is already primary", hint="drkit status shows the roles")
        return primary, target

    def _require_settled(self, request: Request) -> None:
        """Two moves in an hour are more often a fault that moves along than a second accident."""
        epoch = self.record.read().newest_in_force
        if epoch is None or request.again:
            return
        passed = abs((self.world.clock.now() - datetime.fromisoformat(epoch.cut_at)).total_seconds())
        if passed < _SETTLED_SECONDS:
            raise RefusedError(
                f"the service was moved to {epoch.target} {passed / 60:.0f} minutes ago (run {epoch.run_id})",
                hint='find out why it has to move again, and say so: add --again "REASON"',
            )

    def _require_known_clusters(self, source: str, target: str) -> None:
        self.world.require_known_cluster(target)
        try:
            # With the shorter deadline: a dead source is waited for by its health check, too.
            self.world.require_known_cluster(source, self.world.regions[source].health_reader)
        except UnreachableError:
            # Whether a silent source may be left behind is for its health, which compares ids, and the mode to decide.
            return

    def _foreign_groups(self, request: Request, source: str, mode: FailoverMode) -> tuple[str, ...]:
        """A warning that names the groups that will not be carried over. Raises ``RefusedError`` if not accepted."""
        if mode is FailoverMode.DISASTER:
            return (self._unlisted_groups(source),)
        found = self.world.regions[source].reader.foreign_groups()
        names = self.world.groups.select(found)
        if not names:
            return ()
        shown = ", ".join(printable(name) for name in names)
        text = f"share or Streams groups will not be carried over: {shown}"
        if not request.accept_foreign_groups:
            raise RefusedError(
                text,
                hint="exclude them under replication.groups_exclude, or add --accept-foreign-groups: what they had "
                f"read and not read in {source} is then for you to put right",
            )
        return (text,)

    def _unlisted_groups(self, source: str) -> str:
        """What is known of the groups that nobody can list any more: the newest snapshot has those of its time."""
        text = f"share and Streams groups of {source} are not carried over, and cannot be listed without it"
        snapshot = newest_snapshot(self.world, source)
        if snapshot is None or "foreign_groups" not in snapshot:
            return text
        names = ", ".join(printable(str(name)) for name in snapshot["foreign_groups"]) or "none"
        return f"{text}: there were {names} when the newest snapshot was taken, {snapshot['taken_at']}"

    def _require_drainable(self, mode: FailoverMode, lag: MirrorLag) -> None:
        if mode is FailoverMode.PLANNED and isinstance(lag.records, NotKnown):
            raise RefusedError(
                f"the mirror cannot be drained: {lag.records.reason}",
                hint="drkit mm2 status shows how far it came; a mirror of a topic that was made anew has to begin anew",
            )

    def _forecast(self, mode: FailoverMode, lag: MirrorLag, positions: PositionsForecast) -> Forecast:
        if mode is FailoverMode.PLANNED:
            # The drain decides: the run stops rather than go on with a record that was not mirrored.
            never = positions.never_mirrored
            return Forecast(never, 0.0 if never == NO_RECORD else None, positions.replay)
        if positions.unplaced:
            return Forecast(NotKnown(f"nobody can tell {positions.unplaced}"), None, positions.replay)
        if not lag.partitions:
            # No partition is not "no record": whatever the source has was never mirrored.
            return Forecast(NotKnown("nothing of the service was mirrored yet"), None, positions.replay)
        return Forecast(lag.records, lag.seconds, positions.replay)

    def _now_ms(self) -> int:
        return int(self.world.clock.now().timestamp() * 1000)

    def _limits(self) -> Limits:
        objectives = self.world.settings.objectives
        return Limits(objectives.rpo_records, objectives.rpo_seconds, objectives.replay_records)
