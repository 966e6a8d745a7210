"""Groups put where the backup says that they were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drkit.domain.checks import listed
from drkit.domain.inventory import CommittedPosition, GroupInventory, Part
from drkit.domain.kafka import GroupState, TopicPartition
from drkit.domain.naming import printable
from drkit.domain.partition_tree import from_tree, to_tree
from drkit.domain.provisioning import Change, SetPositions
from drkit.domain.restoration import Restoration
from drkit.domain.restored_positions import replaced
from drkit.engine.step import Evidence, RunContext
from drkit.errors import RefusedError, StalePlanError
from drkit.steps.group_offsets import commit_each
from drkit.steps.restore_part import RestorePart, told
from drkit.steps.restore_view import RestoreView
from drkit.steps.undo_record import UndoRecord

Positions = Mapping[TopicPartition, CommittedPosition]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One group as a run has it on record: what it replaces, what it commits, and what it leaves."""

    group: str
    before: Positions
    after: Positions
    others: Positions

    @property
    def originally(self) -> Positions:
        """All that the group had before the run."""
        return {**self.others, **self.before}

    def document(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "change": "set_positions",
            "group": self.group,
            "before": _tree(self.before),
            "after": _tree(self.after),
            "others": _tree(self.others),
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Recorded:
        """The inverse."""
        sides = (_positions(document[side]) for side in ("before", "after", "others"))
        return cls(document["group"], *sides)


class RestoreGroups(RestorePart):
    """What is committed is put on record as a whole before the first of it, and an interrupted run goes on with that.

    Only groups without members are written. One that somebody moves meanwhile is left, and stops the run.
    """

    name = "restore-groups"
    part = Part.GROUPS
    what = "groups"

    def describe(self, context: RunContext) -> str:
        """Say what is committed."""
        how = "its translated position" if self._view.is_elsewhere else "its position of the backup"
        return f"commit for each group {how}, and read it back"

    def __init__(self, view: RestoreView) -> None:
        super().__init__(view)
        self._stays: Mapping[str, Any] | None = None

    def plan(self) -> Restoration:
        """As the groups are now."""
        return self._view.groups()

    def observe(self, context: RunContext) -> Restoration:
        """What is left to be committed. Raises ``RefusedError`` for groups with members."""
        recorded = self._on_record(context)
        if recorded:
            return Restoration(tuple(self._outstanding(recorded)))
        found = super().observe(context)
        if found.refusals:
            raise RefusedError(
                "; ".join(refusal.reason for refusal in found.refusals),
                hint=f"or plan again with {' '.join(refusal.flag for refusal in found.refusals)}",
            )
        self._stays = told(found.stays)
        return found

    def apply(self, context: RunContext, observation: Restoration) -> None:
        """Commit what is on record, compared with the cluster once more right before."""
        if not self._on_record(context):
            self._left(context).add(self._stays or told(()))
            self.record(context).add({one.group: one.document() for one in self._to_record(observation.changes)})
        self.make(context, list(self._outstanding(self._on_record(context))))

    def make(self, context: RunContext, changes: Sequence[Change]) -> None:
        """Commit for every group, whatever becomes of the others."""
        positions = {change.group: change.after for change in changes if isinstance(change, SetPositions)}
        context.progress(f"committing for {len(positions)} groups")
        commit_each(self._view.ports.inventory_writer.commit_positions, positions)

    def confirm(self, context: RunContext) -> Evidence:
        """Read back; what was left is in the evidence."""
        recorded = self._on_record(context)
        live = self._live(recorded)
        wrong = [
            f"{one.group} on {p}"
            for one in recorded
            for p, position in one.after.items()
            if replaced(_at(live, one.group, p), position)
        ]
        if wrong:
            raise StalePlanError(
                f"{len(wrong)} positions are not what was just committed: {printable(listed(wrong))}",
                hint=f"stop the groups' consumers in {context.target}",
            )
        return {
            "made": {"set_positions": sum(len(one.after) for one in recorded)} if recorded else {},
            "groups": len(recorded),
            "stays": self._stays or self._left(context).read() or told(()),
        }

    def differences(self, context: RunContext) -> list[str]:
        """Positions that are not where they were put. A group that has members again, and has read on, is where it was.

        What was left as it is counts as it was then.
        """
        recorded = self._on_record(context)
        live, left = self._live(recorded), context.of(self.name)["stays"]
        texts = list(left["first"])
        if left["count"] > len(texts):
            texts += [f"{left['count'] - len(texts)} more"]
        for one in recorded:
            found = live.get(one.group)
            has_members = found is not None and found.state is GroupState.ACTIVE
            for p, at in one.after.items():
                now = _at(live, one.group, p)
                if replaced(now, at) and not (has_members and now is not None and now.offset >= at.offset):
                    texts.append(f"group {one.group} on {p}: is at {now.offset if now else 'nothing'}, not {at.offset}")
        return [printable(text) for text in texts]

    def compensate(self, context: RunContext) -> Evidence:
        """Put groups back that nobody has moved since; positions that a group did not have go with the group."""
        recorded = self._on_record(context)
        live = self._live(recorded)
        moved = [one for one in recorded if _has_moved(one, live.get(one.group))]
        back = [one for one in recorded if one not in moved]
        self._require_idle(live[one.group] for one in back if one.group in live)
        for one in back:
            found = live[one.group].positions if one.group in live else {}
            if found.keys() - one.originally.keys():
                self._view.ports.writer.delete_group(one.group)
        commit_each(
            self._view.ports.inventory_writer.commit_positions,
            {one.group: one.originally for one in back if one.originally},
        )
        return {"restored": len(back), "kept": [printable(one.group) for one in moved]}

    def _left(self, context: RunContext) -> UndoRecord:
        """What differed and was left, as it was when the rest was put on record."""
        return UndoRecord(self._view.world.store, context, f"{self.name}-left")

    def _on_record(self, context: RunContext) -> list[Recorded]:
        return [Recorded.of(document) for document in self.recorded(context)]

    def _to_record(self, changes: Iterable[Change]) -> Iterator[Recorded]:
        sets = [change for change in changes if isinstance(change, SetPositions)]
        live = self._view.ports.inventory.group_inventory(sorted(change.group for change in sets))
        for change in sets:
            found = live[change.group].positions if change.group in live else {}
            others = {p: position for p, position in found.items() if p not in change.after}
            yield Recorded(change.group, change.before, change.after, others)

    def _outstanding(self, recorded: Sequence[Recorded]) -> Iterator[SetPositions]:
        """What of the record is not there yet. Raises ``StalePlanError`` where it is neither as before nor as after."""
        live = self._live(recorded)
        missing = {
            one.group: {p: at for p, at in one.after.items() if replaced(_at(live, one.group, p), at)}
            for one in recorded
        }
        moved = [
            f"{one.group} on {p}"
            for one in recorded
            for p in missing[one.group]
            if _at(live, one.group, p) != one.before.get(p)
        ]
        if moved:
            raise StalePlanError(
                f"{len(moved)} positions have changed since the restore was planned: {printable(listed(moved))}",
                hint="somebody else commits for these groups: nothing of theirs was overwritten",
            )
        self._require_idle(live[name] for name, left in missing.items() if left and name in live)
        for one in recorded:
            if missing[one.group]:
                yield SetPositions(one.group, one.before, missing[one.group])

    def _live(self, recorded: Sequence[Recorded]) -> Mapping[str, GroupInventory]:
        return self._view.ports.inventory.group_inventory(sorted(one.group for one in recorded)) if recorded else {}

    def _require_idle(self, groups: Iterable[GroupInventory]) -> None:
        active = sorted(one.group for one in groups if one.state not in (GroupState.EMPTY, GroupState.DEAD))
        if active:
            raise RefusedError(
                f"{len(active)} groups have members in {self._view.target}, so that their positions cannot be set: "
                f"{printable(listed(active))}",
                hint="stop their consumers there",
            )


def _has_moved(one: Recorded, live: GroupInventory | None) -> bool:
    """Whether somebody else has committed. A position that is missing may be one that was being put back."""
    found = live.positions if live is not None else {}
    return any(position not in _known(one, p) for p, position in found.items())


def _known(one: Recorded, partition: TopicPartition) -> list[CommittedPosition]:
    sides = (one.before, one.after, one.others)
    return [side[partition] for side in sides if partition in side]


def _at(live: Mapping[str, GroupInventory], group: str, partition: TopicPartition) -> CommittedPosition | None:
    return live[group].positions.get(partition) if group in live else None


def _tree(positions: Positions) -> dict[str, Any]:
    return to_tree({p: [at.offset, at.leader_epoch, at.metadata] for p, at in positions.items()})


def _positions(tree: Mapping[str, Any]) -> Positions:
    return {p: CommittedPosition(*fields) for p, fields in from_tree(tree).items()}
