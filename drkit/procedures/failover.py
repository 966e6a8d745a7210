"""``failover`` and ``switchover``: the steps of both modes, in order."""

from __future__ import annotations

from typing import Any

from drkit.domain.mirror_config import Flow
from drkit.engine.step import Mode, Procedure, Step
from drkit.steps.await_clients import AwaitClients
from drkit.steps.check_health import CheckHealth
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
from drkit.steps.stop_mirror import MirrorStopped, StopMirror
from drkit.steps.translate_offsets import TranslateOffsets
from drkit.steps.verify import Verify
from drkit.steps.world import World

NO_RETURN_AFTER = Redirect.name
