"""``failover`` and ``switchover``: the steps of both modes, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from drkit.domain.naming import TopicNames
from drkit.engine.step import Mode, Procedure, Step
from drkit.steps.await_clients import AwaitClients
from drkit.steps.check_health import CheckHealth, HealthOf
from drkit.steps.cut import RecordCut
from drkit.steps.drain_mirror import DrainMirror
from drkit.steps.fence_consumers import DrainConsumers, FenceConsumers
from drkit.steps.fence_producers import FenceProducers
from drkit.steps.lineage_record import LineageRecord, RecordDirection
from drkit.steps.pin import Pin
from drkit.steps.plan_failback import PlanFailback
from drkit.steps.promote import Promote
from drkit.steps.redirect import Redirect
from drkit.steps.snapshot import ReadSnapshot, TakeSnapshot
from drkit.steps.source_positions import SourcePositions
from drkit.steps.stop_mirror import MirrorStopped, StopMirror
from drkit.steps.translate_offsets import TranslateOffsets
from drkit.steps.verify import Verify
from drkit.steps.world import World
from drkit.verification.failback import FailbackSettings
from drkit.verification.positions import Translator
from drkit.verification.sides import CompareSettings


@dataclass(frozen=True, slots=True)
class Parts:
    """What the steps of one direction are made of, beside the world."""

    record: LineageRecord
    translator: Translator
    positions: SourcePositions
    compare: CompareSettings
    failback: FailbackSettings
    health: HealthOf
    names: TopicNames
    source_is_gone: bool


def compose(name: str, mode: Mode, world: World, source: str, target: str, parts: Parts) -> Procedure:
    """The procedure that moves the service from ``source`` to ``target``."""
    steps = _planned(world, source, target, parts) if mode is Mode.PLANNED else _disaster(world, source, target, parts)
    return Procedure(name, steps, Redirect.name)


def _planned(world: World, source: str, target: str, parts: Parts) -> tuple[Step[Any], ...]:
    mirror = world.mirror_into(target)
    return (
        Pin(world, parts.record),
        CheckHealth(parts.health, source_is_gone=False),
        TakeSnapshot(world, source),
        FenceProducers(world, world.regions[source]),
        DrainMirror(world, source, mirror),
        DrainConsumers(world, source),
        FenceConsumers(world, world.regions[source]),
        RecordCut(world, target, mirror, parts.record, parts.names),
        *_move(world, target, parts),
        StopMirror(world, mirror),
        MirrorStopped(world, mirror),
        *_after(world, source, target, parts),
    )


def _disaster(world: World, source: str, target: str, parts: Parts) -> tuple[Step[Any], ...]:
    mirror = world.mirror_into(target)
    return (
        Pin(world, parts.record),
        CheckHealth(parts.health, source_is_gone=parts.source_is_gone),
        ReadSnapshot(world, source),
        FenceProducers(world, world.regions[source]),
        StopMirror(world, mirror),
        MirrorStopped(world, mirror),
        RecordCut(world, target, mirror, parts.record, parts.names),
        *_move(world, target, parts),
        *_after(world, source, target, parts),
    )


def _move(world: World, target: str, parts: Parts) -> tuple[Step[Any], ...]:
    return (
        TranslateOffsets(world, world.regions[target], parts.translator, parts.positions),
        Promote(world, world.regions[target]),
        Redirect(world, world.redirects),
        RecordDirection(parts.record),
    )


def _after(world: World, source: str, target: str, parts: Parts) -> tuple[Step[Any], ...]:
    return (
        AwaitClients(world, source, target),
        Verify(world, world.regions[source], world.regions[target], parts.record, parts.compare),
        PlanFailback(world, source, parts.record, parts.failback),
    )
