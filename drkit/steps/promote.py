"""Promote: the standby's fences are lifted, and a canary proves that it takes writes."""

from __future__ import annotations

from collections.abc import Mapping

from drkit.domain.kafka import Acl, TopicPartition
from drkit.domain.lineage import cut_from_json
from drkit.domain.partition_tree import from_tree
from drkit.engine.step import Evidence, NotYetError, RunContext, Step
from drkit.errors import RefusedError, VerificationError
from drkit.ports import ProbeOutcome, ReadRange
from drkit.steps.new_records import first_records, target_ends
from drkit.steps.undo_record import UndoRecord
from drkit.steps.world import RegionPorts, World


class Promote(Step[None]):
    """The target accepts writes and commits: both fences are lifted, a canary is produced and read back.

    Until here the fence has kept every application from writing into the target, so that its log is the mirror's
    alone and offsets can be counted.
    """

    name = "promote"
    is_undo_guarded = True
    holds_over_interruption = False

    def __init__(self, world: World, target: RegionPorts) -> None:
        self._world = world
        self._target = target

    @property
    def budget_seconds(self) -> float:
        """``timeouts.fence_seconds``."""
        return self._world.settings.timeouts.fence_seconds

    def describe(self, context: RunContext) -> str:
        """Say what is opened."""
        return f"open {context.target} for writes and prove it with a canary"

    def prepare(self, context: RunContext) -> None:
        """Connect, so that the canary takes milliseconds later."""
        self._target.writer.warm_up(self._world.settings.canary_topic)

    def observe(self, context: RunContext) -> None:
        """Refuse to open a target from whose cut the source has moved on; lifting itself is safe to repeat.

        The cut is kept once the target may have been open. A resumed run has drained the source again, and what it
        drained by then is behind the cut: no group's position is known there.
        """
        drained: Mapping[TopicPartition, int] = from_tree(context.of("drain-mirror").get("source_end", {}))
        cut = cut_from_json(context.of("cut").get("cut", {}))
        ends = {p: at.source_end for p, at in cut.items() if at.source_end is not None}
        moved = {p: end for p, end in ends.items() if drained.get(p, end) > end}
        written = first_records(self._world.regions[context.source].reader, moved, committed=True) if moved else {}
        if written:
            first = min(written)
            raise RefusedError(
                f"{len(written)} partitions in {context.source} were written to behind the cut (first {first}, offset "
                f"{written[first].offset}): groups have no position for these records",
                hint=f"drkit abort {context.run_id} goes back to {context.source}; then fail over again",
            )

    def is_satisfied(self, context: RunContext, observation: None) -> bool:
        """Never assumed: the canary decides."""
        return False

    def apply(self, context: RunContext, observation: None) -> None:
        """Lift both fences, once it is stored whether groups were fenced: those of an earlier primary are."""
        denied = [acl for acl in self._target.reader.acls() if _denies_commits(acl)]
        groups = sorted({acl.resource_name for acl in denied if acl.pattern_type == "literal"})
        # A denial of somebody else's names one group; drkit's has the prefix.
        is_fenced = any(acl.resource_name == self._world.settings.topic_prefix for acl in denied)
        self._before(context).add({"fenced_groups": groups if is_fenced else None})
        self._target.fence.lift_consumers()
        self._target.fence.lift_producers()

    def confirm(self, context: RunContext) -> Evidence:
        """Produce a canary and read it back."""
        clock, settings = self._world.clock, self._world.settings
        started = clock.monotonic()
        value = f"drkit canary of {context.run_id}".encode()
        outcome, offset = self._target.writer.probe_write(settings.canary_topic, value)
        while outcome is ProbeOutcome.REFUSED:
            if clock.monotonic() - started > self.budget_seconds:
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

    def check_undo(self, context: RunContext) -> None:
        """Refuse to shut a target that applications have written to: the old primary does not have their records."""
        resume = f"drkit resume {context.run_id} finishes the move"
        if "cut" not in context.of("cut"):
            raise RefusedError(
                f"the log ends of {context.target} at the cut are not on record, so that nobody can tell whether "
                "applications have written there",
                hint=resume,
            )
        at_cut = target_ends(self._world, context)
        if at_cut.missing:
            raise RefusedError(
                f"{at_cut.missing[0]} is no longer in {context.target}: whether applications wrote to it is not known",
                hint=resume,
            )
        # An open transaction may still be committed behind the fence, so that its records count too.
        written = first_records(self._target.reader, at_cut.ends, committed=False)
        if written:
            first = min(written)
            raise RefusedError(
                f"applications have written to {len(written)} partitions in {context.target} since the cut (first "
                f"{first}, offset {written[first].offset}): {context.source} does not have these records",
                hint=resume,
            )

    def compensate(self, context: RunContext) -> Evidence:
        """Fence the standby's producers again, and its groups if they were fenced before.

        Looked at before and after: a record that was acknowledged in between would be left behind unseen.
        """
        self.check_undo(context)
        fenced = self._target.fence.put_producers()
        self.check_undo(context)
        return self._with_groups(context, fenced)

    def compensate_late(self, context: RunContext) -> Evidence:
        """Fence it again and no more: the mirror may have gone on, and its copies look like applications' records."""
        return self._with_groups(context, self._target.fence.put_producers())

    def _with_groups(self, context: RunContext, fenced: Evidence) -> Evidence:
        groups = (self._before(context).read() or {}).get("fenced_groups")
        if groups is not None:
            self._target.fence.put_consumers([name for name in groups if name != self._world.settings.canary_group])
        return fenced

    def _before(self, context: RunContext) -> UndoRecord:
        return UndoRecord(self._world.store, context, f"fences-{context.target}")


def _denies_commits(acl: Acl) -> bool:
    return (acl.resource_type, acl.operation, acl.permission) == ("group", "read", "deny")
