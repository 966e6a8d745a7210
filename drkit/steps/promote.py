"""Promote: what MM2 leaves out is put right, the standby's fences are lifted, and a canary proves that it opens."""

from __future__ import annotations

from collections.abc import Mapping

from drkit.domain.kafka import Acl, TopicPartition
from drkit.domain.lineage import cut_from_json
from drkit.domain.naming import printable
from drkit.domain.partition_tree import from_tree
from drkit.engine.step import Evidence, NotYetError, RunContext, Step
from drkit.errors import RefusedError, VerificationError
from drkit.ports import ProbeOutcome, ReadRange
from drkit.steps.carry_over import CarryOver, acls_of_json, acls_to_json
from drkit.steps.new_records import first_records, target_ends
from drkit.steps.undo_record import UndoRecord
from drkit.steps.world import RegionPorts, World


class Promote(Step[None]):
    """The target accepts writes and commits: both fences are lifted, a canary is produced and read back.

    Until here the fence has kept every application from writing into the target, so that its log is the mirror's
    alone and offsets can be counted. Before it is lifted, applications get the ACLs and topics the configs that they
    had on the source and that MM2 does not carry over: behind the fence this opens nothing, as a denial counts more
    than any allowance.
    """

    name = "promote"
    is_undo_guarded = True
    holds_over_interruption = False

    def __init__(self, world: World, target: RegionPorts) -> None:
        self._world = world
        self._target = target
        self._carry_over = CarryOver(world, target)

    @property
    def budget_seconds(self) -> float:
        """``timeouts.fence_seconds``."""
        return self._world.settings.timeouts.fence_seconds

    def describe(self, context: RunContext) -> str:
        """Say what is opened."""
        return f"put right the ACLs and configs that MM2 skips, open {context.target} for writes, prove it by a canary"

    def prepare(self, context: RunContext) -> None:
        """Connect, so that the canary takes milliseconds later, and read what is to be carried over."""
        self._target.writer.warm_up(self._world.settings.canary_topic)
        self._carry_over.prepare(context)

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
        """Carry over, then lift both fences, once what undoing needs is stored.

        That is whether groups were fenced (those of an earlier primary are), and which ACLs are made.
        """
        existing = self._target.reader.acls()
        denied = [acl for acl in existing if _denies_commits(acl)]
        groups = sorted({acl.resource_name for acl in denied if acl.pattern_type == "literal"})
        # A denial of somebody else's names one group; drkit's has the prefix.
        is_fenced = any(acl.resource_name == self._world.settings.topic_prefix for acl in denied)
        missing = acls_to_json(self._carry_over.missing(context, existing))
        before = {"fenced_groups": groups if is_fenced else None, "created_acls": missing}
        recorded = self._before(context).add(before)
        # Of a run that is resumed, only what is on record: nothing else would be undone.
        own = [acl for acl in missing if acl in recorded["created_acls"]]
        self._carry_over.make(context, acls_of_json(own), existing)
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
            "carried_over": self._carry_over.evidence(),
        }

    def summarize(self, evidence: Evidence) -> str:
        """What was carried over, and what was not."""
        found = evidence["carried_over"]
        made = [f"{found[key]} {noun}" for key, noun in (("acls", "ACLs"), ("configs", "configs")) if found[key]]
        as_of = f" as of {found['as_of']}" if found["as_of"] else ""
        missed = [*found["problems"], *([f"{found['for_a_person']} for a person"] if found["for_a_person"] else [])]
        return "; ".join(
            [f"{' and '.join(made)} carried over{as_of}"] * bool(made)
            + [f"not carried over: {printable('; '.join(missed))}"] * bool(missed)
        )

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
        """Take the run's ACLs back, fence the standby's producers again, and its groups if they were fenced before.

        Looked at before and after: a record that was acknowledged in between would be left behind unseen.
        """
        self.check_undo(context)
        fenced = self._fenced_again(context)
        self.check_undo(context)
        return self._with_groups(context, fenced)

    def compensate_late(self, context: RunContext) -> Evidence:
        """Fence it again and no more: the mirror may have gone on, and its copies look like applications' records."""
        return self._with_groups(context, self._fenced_again(context))

    def _fenced_again(self, context: RunContext) -> Evidence:
        """The fence comes last, as it allows what no ACL speaks of then; and whatever becomes of the ACLs."""
        created = (self._before(context).read() or {}).get("created_acls") or []
        try:
            self._target.writer.delete_acls(acls_of_json(created))
        finally:
            fenced = self._target.fence.put_producers()
        return {**fenced, "acls_taken_back": len(created)}

    def _with_groups(self, context: RunContext, fenced: Evidence) -> Evidence:
        groups = (self._before(context).read() or {}).get("fenced_groups")
        if groups is not None:
            self._target.fence.put_consumers([name for name in groups if name != self._world.settings.canary_group])
        return fenced

    def _before(self, context: RunContext) -> UndoRecord:
        return UndoRecord(self._world.store, context, f"fences-{context.target}")


def _denies_commits(acl: Acl) -> bool:
    return (acl.resource_type, acl.operation, acl.permission) == ("group", "read", "deny")
