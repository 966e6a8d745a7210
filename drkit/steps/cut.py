"""The cut: the log ends on both sides at which the direction changes, recorded in the lineage."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from drkit.domain.kafka import TopicPartition
from drkit.domain.lineage import Cut, Epoch, EpochState, Lineage, PartitionCut, cut_to_json
from drkit.domain.naming import TopicNames
from drkit.domain.partition_tree import from_tree
from drkit.engine.step import Evidence, Mode, RunContext, Step
from drkit.errors import RefusedError
from drkit.steps.lineage_record import LineageRecord
from drkit.steps.snapshot import ReadSnapshot
from drkit.steps.source_loss import SourceLoss
from drkit.steps.standstill import require_fence_held, wait_until_settled
from drkit.steps.world import Mirror, World


class RecordCut(Step[Lineage]):
    """Ends per partition, taken when nothing writes on either side, stored before the target opens for writes.

    In disaster mode with what is lost: from here on nothing more will be mirrored.
    """

    name = "cut"
    holds_over_interruption = False
    measured_before = "promote"

    def __init__(
        self,
        world: World,
        target: str,
        mirror: Mirror,
        record: LineageRecord,
        names: TopicNames,
        loss: SourceLoss,
    ) -> None:
        self._world = world
        self._reader = world.regions[target].reader
        self._mirror = mirror
        self._record = record
        self._names = names
        self._loss = loss

    @property
    def budget_seconds(self) -> float:
        """``timeouts.mirror_stop_seconds``."""
        return self._world.settings.timeouts.mirror_stop_seconds

    def describe(self, context: RunContext) -> str:
        """Say what is recorded."""
        return "record both log ends of every partition in the lineage"

    def observe(self, context: RunContext) -> Lineage:
        """The lineage as stored."""
        return self._record.read()

    def is_satisfied(self, context: RunContext, observation: Lineage) -> bool:
        """Never before a translation: ends that were recorded before an interruption may have moved."""
        return False

    def apply(self, context: RunContext, observation: Lineage) -> None:
        """Measure and record."""
        epoch = Epoch(
            run_id=context.run_id,
            source=context.source,
            target=context.target,
            mode=context.mode.value,
            cut_at=self._world.clock.now().isoformat(),
            state=EpochState.PREPARED,
            cut=self._measure(context),
        )
        self._record.change(lambda lineage: lineage.with_epoch(epoch))

    def confirm(self, context: RunContext) -> Evidence:
        """The cut as it was stored."""
        epoch = self._record.read().of_run(context.run_id)
        if epoch is None:
            raise RefusedError(
                "the lineage does not hold this run's cut", hint="another process replaced it: run again"
            )
        found = {"cut_at": epoch.cut_at, "partitions": len(epoch.cut), "cut": cut_to_json(epoch.cut)}
        return found if context.mode is Mode.PLANNED else {**found, "loss": self._lost(context, epoch.cut)}

    def compensate(self, context: RunContext) -> Evidence:
        """Mark the epoch as withdrawn; history is kept."""
        self._record.change(lambda lineage: lineage.with_state(context.run_id, EpochState.WITHDRAWN))
        return {"state": EpochState.WITHDRAWN.value}

    def _lost(self, context: RunContext, cut: Cut) -> Evidence:
        mirrored = {p: ends.source_last for p, ends in cut.items() if ends.source_last is not None}
        looked_at = context.of(ReadSnapshot.name).get("looked_at")
        silent_at = None if looked_at is None else datetime.fromisoformat(looked_at)
        return self._loss.document(self._loss.measure(mirrored, is_stopped=True, silent_at=silent_at))

    def _measure(self, context: RunContext) -> Cut:
        # First: what is measured from here on cannot change any more.
        require_fence_held(self._world, context)
        wait_until_settled(self._world, self._reader, lambda: self._written_by_mirror(context), context)
        source_ends: Mapping[TopicPartition, int] = from_tree(context.of("drain-mirror").get("source_end", {}))
        mirrored = self._mirror.positions()
        here = {p for topic in self._reader.describe_topics().values() for p in topic.topic_partitions}
        copies = {
            p: copy
            for p in sorted({*source_ends, *mirrored})
            if self._world.topics.matches(p.topic)
            and (copy := TopicPartition(self._names.on_target(p.topic), p.partition)) in here
        }
        target_ends = self._reader.log_ranges(list(copies.values()))
        return {
            p: PartitionCut(source_ends.get(p), mirrored.get(p), target_ends[copy].end) for p, copy in copies.items()
        }

    def _written_by_mirror(self, context: RunContext) -> list[TopicPartition]:
        """What the mirror writes to in one transaction with what: copies, and Kafka Connect's positions."""
        topics = self._reader.describe_topics()
        found = [
            p
            for topic in topics.values()
            if self._world.topics.matches(self._names.on_source(topic.name))
            for p in topic.topic_partitions
        ]
        connect = self._world.settings.regions[context.target].connect
        if context.mode is Mode.DISASTER and connect is not None and connect.offsets_topic in topics:
            # In a planned move other connectors still run, and commit to it all the time.
            found += topics[connect.offsets_topic].topic_partitions
        return found
