"""Fence: stop the applications' writes on the old primary, and prove it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from drkit.domain.kafka import LogRange, TopicPartition
from drkit.domain.partition_tree import to_tree
from drkit.domain.scope import partitions_in_scope
from drkit.engine.step import Evidence, Mode, NotYetError, RunContext, Step
from drkit.errors import DrkitError
from drkit.ports import ProbeOutcome
from drkit.steps.world import RegionPorts, World

_STANDSTILL_SECONDS = 0.25
"""How long log ends must stand still: well above the delay of an ACL on its way from controller to broker."""


class FenceProducers(Step[bool]):
    """Writes are refused on the old primary: proved by a refused probe and by log ends that stand still.

    In disaster mode the fence is tried once, and the move to the healthy region does not depend on it: a primary that
    is cut off from drkit, or half dead, may be unable to be fenced. One that comes back unfenced is named in the
    failback plan.
    """

    name = "fence-producers"
    holds_over_interruption = False

    def __init__(self, world: World, source: RegionPorts) -> None:
        self._world = world
        self._source = source
        self._why_not = ""

    @property
    def budget_seconds(self) -> float:
        """``timeouts.fence_seconds``."""
        return self._world.settings.timeouts.fence_seconds

    def describe(self, context: RunContext) -> str:
        """Say what is fenced."""
        return f"stop the applications' writes in {context.source}"

    def prepare(self, context: RunContext) -> None:
        """Connect, so that the fence takes milliseconds when it is put."""
        if context.mode is Mode.PLANNED:
            self._source.writer.warm_up(self._world.settings.canary_topic)

    def observe(self, context: RunContext) -> bool:
        """Whether the old primary answers at all."""
        self._why_not = "" if context.mode is Mode.PLANNED or self._is_there() else f"{context.source} does not answer"
        return not self._why_not

    def _is_there(self) -> bool:
        try:
            self._source.health_reader.describe_cluster()
        except DrkitError:
            return False
        return True

    def is_satisfied(self, context: RunContext, observation: bool) -> bool:
        """Satisfied only where there is nobody to fence."""
        return not observation

    def apply(self, context: RunContext, observation: bool) -> None:
        """Put the fence."""
        with self._tolerant(context):
            self._source.fence.put_producers()

    def confirm(self, context: RunContext) -> Evidence:
        """Refused probe, then log ends that stand still with no transaction open."""
        found: Evidence = {}
        if not self._why_not:
            with self._tolerant(context):
                found = self._proof()
        return {"fenced": False, "reason": self._why_not} if self._why_not else found

    @contextmanager
    def _tolerant(self, context: RunContext) -> Iterator[None]:
        """In disaster mode what goes wrong is kept as the reason why there is no fence."""
        try:
            yield
        except DrkitError as error:
            if context.mode is not Mode.DISASTER:
                raise
            self._why_not = error.message

    def _proof(self) -> Evidence:
        clock = self._world.clock
        started = clock.monotonic()
        deadline = started + self.budget_seconds
        attempts = self._until_refused(deadline)
        refused_at = clock.now().isoformat()
        refused_after = clock.monotonic() - started
        ranges = self._until_still(deadline)
        return {
            "fenced": True,
            "fenced_at": refused_at,
            "refused_after_seconds": round(refused_after, 3),
            "still_after_seconds": round(clock.monotonic() - started, 3),
            "probes": attempts,
            "ends": to_tree({partition: log.end for partition, log in ranges.items()}),
        }

    def compensate(self, context: RunContext) -> Evidence:
        """Let the applications write again."""
        return self._source.fence.lift_producers()

    def _until_refused(self, deadline: float) -> int:
        clock, settings = self._world.clock, self._world.settings
        attempts = 1
        while self._source.writer.probe_write(settings.canary_topic, b"drkit fence probe")[0] is ProbeOutcome.ACCEPTED:
            if clock.monotonic() > deadline:
                raise NotYetError(
                    f"{self._source.region} still accepts drkit's own write {self.budget_seconds:g} s "
                    "after the fence was put",
                    hint="drkit's principal may be a super user there, or the fence does not bind it: see the fence "
                    "chapter of runbooks/failover.md",
                )
            attempts += 1
            clock.sleep(0.02)
        return attempts

    def _until_still(self, deadline: float) -> Mapping[TopicPartition, LogRange]:
        clock, reader = self._world.clock, self._source.reader
        partitions = partitions_in_scope(reader.describe_topics().values(), self._world.topics)
        before = reader.log_ranges(partitions)
        while True:
            clock.sleep(_STANDSTILL_SECONDS)
            after = reader.log_ranges(partitions)
            moving = [p for p in partitions if after[p].end != before[p].end or not after[p].is_settled]
            if not moving:
                return after
            if clock.monotonic() > deadline:
                raise NotYetError(_moving_message(self._source.region, moving, before, after))
            before = after


def _moving_message(
    region: str,
    moving: list[TopicPartition],
    before: Mapping[TopicPartition, LogRange],
    after: Mapping[TopicPartition, LogRange],
) -> str:
    open_transactions = [p for p in moving if before[p].end == after[p].end]
    still_written = [p for p in moving if p not in open_transactions]
    parts = []
    if still_written:
        parts.append(
            f"{len(still_written)} partitions in {region} are still written to, first {still_written[0]}: a producer "
            "is not bound by the fence (a super user, or a principal that fence.principals does not list)"
        )
    if open_transactions:
        parts.append(
            f"{len(open_transactions)} partitions in {region} have a transaction that does not end, first "
            f"{open_transactions[0]}"
        )
    return "; ".join(parts)
