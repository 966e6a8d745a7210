"""Promote: the standby's fences are lifted, and a canary proves that it takes writes."""

from __future__ import annotations

from drkit.domain.kafka import TopicPartition
from drkit.engine.step import Evidence, NotYetError, RunContext, Step
from drkit.errors import VerificationError
from drkit.ports import ProbeOutcome, ReadRange
from drkit.steps.world import RegionPorts, World


class Promote(Step[None]):
    """The target accepts writes and commits: both fences are lifted, a canary is produced and read back.

    Until here the fence has kept every application from writing into the target, so that its log is the mirror's
    alone and offsets can be counted.
    """

    name = "promote"

    def __init__(self, world: World, target: RegionPorts) -> None:
        self._world = world
        self._target = target

    def describe(self, context: RunContext) -> str:
        """Say what is opened."""
        return f"open {context.target} for writes and prove it with a canary"

    def prepare(self, context: RunContext) -> None:
        """Connect, so that the canary takes milliseconds later."""
        self._target.writer.warm_up(self._world.settings.canary_topic)

    def observe(self, context: RunContext) -> None:
        """Lifting is safe to repeat: nothing needs to be known before."""

    def is_satisfied(self, context: RunContext, observation: None) -> bool:
        """Never assumed: the canary decides."""
        return False

    def apply(self, context: RunContext, observation: None) -> None:
        """Lift both fences."""
        self._target.fence.lift_consumers()
        self._target.fence.lift_producers()

    def confirm(self, context: RunContext) -> Evidence:
        """Produce a canary and read it back."""
        clock, settings = self._world.clock, self._world.settings
        started = clock.monotonic()
        value = f"drkit canary of {context.run_id}".encode()
        outcome, offset = self._target.writer.probe_write(settings.canary_topic, value)
        while outcome is ProbeOutcome.REFUSED:
            if clock.monotonic() - started > settings.timeouts.fence_seconds:
                raise NotYetError(
                    f"{context.target} still refuses drkit's own write after its fence was lifted",
                    hint="an ACL that drkit did not put denies it: kafka-acls --list shows which",
                )
            clock.sleep(0.02)
            outcome, offset = self._target.writer.probe_write(settings.canary_topic, value)
        written_at = clock.now().isoformat()
        canary = ReadRange(TopicPartition(settings.canary_topic, 0), offset, offset + 1)
        if [record.value for record in self._target.reader.read([canary])] != [value]:
            raise VerificationError(f"the canary was written to {context.target} at offset {offset} and not read back")
        return {
            "canary_offset": offset,
            "canary_written_at": written_at,
            "canary_seconds": round(clock.monotonic() - started, 3),
        }

    def compensate(self, context: RunContext) -> Evidence:
        """Fence the standby's producers again; its groups were not fenced before and are not now."""
        return self._target.fence.put_producers()
