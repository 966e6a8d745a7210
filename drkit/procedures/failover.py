"""``failover`` and ``switchover``: the steps of both modes, in order, and what each is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from drkit.domain.lag import MirrorLag
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
from drkit.steps.source_loss import SourceLoss
from drkit.steps.source_positions import SourcePositions
from drkit.steps.stop_mirror import MirrorStopped, StopMirror
from drkit.steps.translate_offsets import TranslateOffsets
from drkit.steps.verify import Verify
from drkit.steps.world import World
from drkit.verification.failback import FailbackSettings
from drkit.verification.positions import Translator
from drkit.verification.sides import CompareSettings

_MOVE: Final = (TranslateOffsets, Promote, Redirect, RecordDirection)
_AFTER: Final = (AwaitClients, Verify, PlanFailback)
STEPS: Final[Mapping[Mode, tuple[type[Step[Any]], ...]]] = {
    Mode.PLANNED: (
        Pin,
        CheckHealth,
        TakeSnapshot,
        FenceProducers,
        DrainMirror,
        DrainConsumers,
        FenceConsumers,
        RecordCut,
        *_MOVE,
        StopMirror,
        MirrorStopped,
        *_AFTER,
    ),
    Mode.DISASTER: (
        Pin,
        CheckHealth,
        ReadSnapshot,
        FenceProducers,
        StopMirror,
        MirrorStopped,
        RecordCut,
        *_MOVE,
        *_AFTER,
    ),
}
"""The steps of both modes, in order."""
NO_RETURN_AFTER: Final = Redirect.name


class Gone(NamedTuple):
    """What the operator says is gone, whatever it looks like."""

    source: bool = False
    mirror: bool = False


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
    mirror_is_gone: bool = False
    left: Callable[[], MirrorLag] | None = None
    """What is not mirrored; None where the mirror is drained."""


def compose(name: str, mode: Mode, world: World, source: str, target: str, parts: Parts) -> Procedure:
    """The procedure that moves the service from ``source`` to ``target``."""
    made = {type(step): step for step in _made(mode, world, source, target, parts)}
    return Procedure(name, tuple(made[kind] for kind in STEPS[mode]), NO_RETURN_AFTER)


def _made(mode: Mode, world: World, source: str, target: str, parts: Parts) -> tuple[Step[Any], ...]:
    """Every step of either mode; ``STEPS`` says which ones, and when."""
    mirror, old, new = world.mirror_into(target), world.regions[source], world.regions[target]
    watched, backup = parts.positions.watched, parts.positions.backup
    return (
        Pin(world, parts.record),
        CheckHealth(parts.health, source_is_gone=mode is Mode.DISASTER and parts.source_is_gone),
        TakeSnapshot(world, source),
        ReadSnapshot(world, source, watched, backup),
        FenceProducers(world, old),
        DrainMirror(world, source, mirror),
        DrainConsumers(world, source),
        FenceConsumers(world, old),
        RecordCut(world, target, mirror, parts.record, parts.names, SourceLoss(world, source, watched, backup)),
        TranslateOffsets(world, new, parts.translator, parts.positions, parts.left),
        Promote(world, new),
        Redirect(world, world.redirects),
        RecordDirection(parts.record),
        StopMirror(world, mirror, is_gone=parts.mirror_is_gone),
        MirrorStopped(world, mirror),
        AwaitClients(world, source, target),
        Verify(world, old, new, parts.record, parts.compare),
        PlanFailback(world, source, parts.record, parts.failback),
    )
