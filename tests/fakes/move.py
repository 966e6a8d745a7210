"""A real procedure on the fakes of both regions, run, resumed and aborted as ``drkit.procedures.service`` does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn

from pydantic import JsonValue

from drkit.backup.position_log import PositionLog
from drkit.domain import run_events as ev
from drkit.domain.failback_steps import Places
from drkit.domain.health import Healthy, RegionHealth, Role
from drkit.domain.kafka import TopicPartition
from drkit.domain.runs import RunState
from drkit.engine import journal as journals
from drkit.engine.interrupt import Interrupt
from drkit.engine.journal import Journal
from drkit.engine.lease import Lease
from drkit.engine.runner import Runner
from drkit.engine.step import Mode, Procedure
from drkit.engine.takeover import Purpose
from drkit.procedures.answers import ThisProcess
from drkit.procedures.failover import Parts, compose
from drkit.procedures.service import Service
from drkit.steps.source_positions import SourcePositions
from drkit.verification.failback import FailbackSettings
from drkit.verification.mirror_evidence import CheckpointPositions
from drkit.verification.sides import CompareSettings
from tests.fakes.procedure import Watcher
from tests.fakes.service import ORDERS, SOURCE, TARGET, FakeService
from tests.unit.config.sample import settings

GROUP = "shop.staging.billing"
FIRST = TopicPartition(ORDERS, 0)


def mirrored_service() -> FakeService:
    """Ten records, all of them mirrored and read by a group; the standby is fenced."""
    found = FakeService(settings())
    found.topic()
    found.write(FIRST, 10)
    found.carry(FIRST)
    found.source.cluster.commit(GROUP, {FIRST: 10})
    found.world.regions[TARGET].fence.put_producers()
    return found


def operator(service: FakeService, name: str = "carol") -> Service:
    """Somebody at a command line."""
    return Service(
        world=service.world,
        interrupt=Interrupt(),
        clock=service.clock,
        local_copy=lambda *_: None,
        config_path="drkit.yaml",
        process=ThisProcess(name, name, lambda _: False),
    )


def raising(error: BaseException) -> Callable[[], NoReturn]:
    """A fault that raises."""

    def raise_it() -> NoReturn:
        raise error

    return raise_it


class Move:
    """One run from source to target. ``options``: what the operator accepted."""

    def __init__(
        self, service: FakeService, mode: Mode = Mode.PLANNED, *, undo_on_failure: bool = False, **options: JsonValue
    ) -> None:
        self.service = service
        self.mode = mode
        self.undo_on_failure = undo_on_failure
        self.options = options
        self.run_id = journals.new_run_id(service.clock, "failover")

    def run(self) -> RunState:
        """Plan and run it."""
        procedure, lease = self.procedure(), self._lease("alice")
        try:
            journal = self._journal(None)
            journal.append(self._planned(procedure))
            return Runner(procedure, journal, lease, self.service.clock, Watcher(), Interrupt()).run()
        finally:
            lease.release()

    def resume(self) -> RunState:
        """Another process goes on with it."""
        return self._go_on("resume")

    def abort(self, *, target_is_gone: bool = False) -> RunState:
        """Another process undoes it."""
        return self._go_on("abort", target_is_gone=target_is_gone)

    @property
    def state(self) -> RunState:
        """The run as its journal has it."""
        return journals.load(self.service.store, self.run_id)

    def _go_on(self, purpose: Purpose, *, target_is_gone: bool = False) -> RunState:
        lease = self._lease("bob")
        try:
            journal = self._journal(self.state)
            runner = Runner(self.procedure(), journal, lease, self.service.clock, Watcher(), Interrupt())
            runner.take_over("bob", purpose, "alice")
            if purpose == "resume":
                return runner.resume()
            return runner.abort("asked for by the operator", target_is_gone=target_is_gone)
        finally:
            lease.release()

    def procedure(self) -> Procedure:
        """The steps of the move."""
        s = self.service
        evidence = CheckpointPositions(s.target, s.flow)
        parts = Parts(
            record=s.record,
            translator=s.translator(is_source_alive=self.mode is Mode.PLANNED),
            positions=SourcePositions(s.world, SOURCE, evidence, PositionLog(s.store, SOURCE), s.backup),
            compare=CompareSettings(s.world.topics, s.settings.canary_topic, s.names.on_target),
            failback=FailbackSettings(
                type(s.flow)("shop", "staging", TARGET, SOURCE), Places("a:1", "http://a", "http://b")
            ),
            health=_healthy,
            names=s.names,
            source_is_gone=self.mode is Mode.DISASTER,
        )
        return compose("failover", self.mode, s.world, SOURCE, TARGET, parts)

    def _lease(self, owner: str) -> Lease:
        s = self.service
        lease = Lease(s.store, s.clock, owner=owner, seconds=30.0, is_gone=lambda _: True, background=False)
        lease.acquire(self.run_id)
        return lease

    def _journal(self, state: RunState | None) -> Journal:
        return Journal(self.service.store, lambda *_: None, self.service.clock, run_id=self.run_id, state=state)

    def _planned(self, procedure: Procedure) -> ev.RunPlanned:
        return ev.RunPlanned(
            procedure=procedure.name,
            mode=self.mode,
            source=SOURCE,
            target=TARGET,
            steps=procedure.identities,
            no_return_after=procedure.no_return_after,
            options=self.options,
            objectives=self.service.settings.objectives.model_dump(mode="json"),
            plan_digest="a" * 64,
            settings_digest="b" * 64,
            config_path=None,
            operator="alice",
            undo_on_failure=self.undo_on_failure,
        )


def _healthy(roles: Mapping[str, Role]) -> Mapping[str, RegionHealth]:
    return {region: RegionHealth(region, role, Healthy(), ()) for region, role in roles.items()}
