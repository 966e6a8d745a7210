"""Translate: every group's exact position on the target, committed there and read back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from drkit.domain.kafka import GroupOffsets, TopicPartition
from drkit.domain.lag import NO_RECORD, MirrorLag, NotKnown
from drkit.domain.loss import loss_from_json
from drkit.domain.objectives import Forecast, Limits, Refused, hold_against
from drkit.domain.partition_tree import from_tree, to_tree
from drkit.domain.positions import GroupPosition, by_group, never_mirrored, replay_amount, totals
from drkit.engine.step import Evidence, Mode, RunContext, Step
from drkit.errors import RefusedError, StalePlanError
from drkit.steps.fence_consumers import committed_in_scope
from drkit.steps.group_offsets import commit_groups
from drkit.steps.source_positions import SourcePositions
from drkit.steps.undo_record import UndoRecord
from drkit.steps.world import RegionPorts, World
from drkit.verification.positions import Translator

_SHOWN_GROUPS = 5


@dataclass(frozen=True, slots=True)
class Translated:
    """Positions to commit, and what the target's groups had before."""

    positions: Sequence[GroupPosition]
    wanted: GroupOffsets
    earlier: GroupOffsets


class TranslateOffsets(Step[Translated]):
    """Only groups without members are written; each partition's result is looked at, and read back.

    What a group had before on the target is in the evidence, so that it can be restored. ``left``: what a source that
    is gone has and the mirror has not, measured as for the plan; a planned run has drained it.
    """

    name = "translate-offsets"
    holds_over_interruption = False
    measured_before = "promote"

    def __init__(
        self,
        world: World,
        target: RegionPorts,
        translator: Translator,
        source: SourcePositions,
        left: Callable[[], MirrorLag] | None = None,
    ) -> None:
        self._world = world
        self._left = left
        self._target = target
        self._translator = translator
        self._source = source
        self._translated: Translated | None = None

    def describe(self, context: RunContext) -> str:
        """Say what is committed."""
        return f"commit each group's position in {context.target} and read it back"

    def prepare(self, context: RunContext) -> None:
        """Read what the groups' positions of now need, so that little is new later."""
        if context.mode is Mode.PLANNED and not context.of("fence-consumers"):
            committed: GroupOffsets = committed_in_scope(self._world, self._world.regions[context.source].reader)
        else:
            committed, _ = self._committed(context)
        self._translator.prepare(committed)
        # Asked for in vain: the first question to a cluster's coordinators takes longest.
        self._target.reader.committed_offsets(sorted(committed))

    def observe(self, context: RunContext) -> Translated:
        """Translate, and read what is there. Raises ``RefusedError`` for groups that are active on the target."""
        committed, evidence = self._committed(context)
        ends = from_tree(context.of("drain-mirror").get("source_end", {}))
        rows = self._translator.translate(committed, drained_to=ends or None, is_final=context.mode is Mode.DISASTER)
        positions = [replace(r, evidence=evidence.get(r.group, "")) for r in rows]
        self._require_within(context, positions)
        wanted = by_group(positions)
        self._require_idle(wanted)
        earlier = self._target.reader.committed_offsets(sorted(wanted))
        self._translated = Translated(positions, wanted, earlier)
        return self._translated

    def is_satisfied(self, context: RunContext, observation: Translated) -> bool:
        """Every position is there already."""
        return _missing(observation.wanted, observation.earlier) == {}

    def apply(self, context: RunContext, observation: Translated) -> None:
        """Commit, once the earlier positions are stored: undoing must not depend on this process."""
        self._remember(context, observation)
        commit_groups(self._target.writer, observation.wanted)

    def confirm(self, context: RunContext) -> Evidence:
        """Read back, and report every position."""
        translated = self._translated or self.observe(context)
        groups = sorted(translated.wanted)
        missing = _missing(translated.wanted, self._target.reader.committed_offsets(groups))
        if missing:
            # A coordinator that has just moved may not know yet of what was committed.
            missing = _missing(translated.wanted, self._target.reader.committed_offsets(groups, stable=True))
        if missing:
            group, partition = next((g, p) for g, offsets in missing.items() for p in offsets)
            raise StalePlanError(
                f"group {group} has another offset on {partition} than was just committed: somebody else commits",
                hint=f"stop the group's consumers in {context.target}",
            )
        return {
            "offsets": totals(translated.positions),
            "committed": {group: to_tree(offsets) for group, offsets in translated.wanted.items()},
            "not_exact": [p.row for p in translated.positions if p.row["verdict"] != "exact"],
        }

    def summarize(self, evidence: Evidence) -> str:
        """How sure the positions are."""
        found = evidence["offsets"]
        return f"{found['exact']} of {found['partitions']} positions exact, {found['groups']} groups"

    def compensate(self, context: RunContext) -> Evidence:
        """Restore what the groups had before; a group that had nothing is removed again."""
        stored = self._earlier(context).read()
        if stored is None:
            return {"restored": 0}
        earlier = {group: from_tree(tree) for group, tree in stored.items()}
        self._require_idle(earlier)
        found = self._target.reader.committed_offsets(sorted(earlier))
        for group, offsets in earlier.items():
            if found[group].keys() - offsets.keys():
                # Positions that the group did not have before go with the group, and the others come back.
                self._target.writer.delete_group(group)
        commit_groups(self._target.writer, {group: offsets for group, offsets in earlier.items() if offsets})
        return {"restored": len(earlier)}

    def _committed(self, context: RunContext) -> tuple[GroupOffsets, Mapping[str, str]]:
        if context.mode is Mode.PLANNED:
            final = context.of("fence-consumers").get("committed", {})
            return {group: from_tree(tree) for group, tree in final.items()}, {}
        known = self._source.without_source()
        return known.committed, known.evidence

    def _require_within(self, context: RunContext, positions: Sequence[GroupPosition]) -> None:
        """What the plan forecast is known now: raise ``RefusedError`` where it is more than was accepted."""
        objectives = self._world.settings.objectives
        limits = Limits(objectives.rpo_records, objectives.rpo_seconds, objectives.replay_records)
        found = hold_against(self._forecast(context, positions), limits, context.accepted)
        if isinstance(found, Refused):
            raise RefusedError(
                "; ".join(found.reasons),
                hint=f"drkit resume {context.run_id} {' '.join(found.flags)} accepts this",
            )

    def _forecast(self, context: RunContext, positions: Sequence[GroupPosition]) -> Forecast:
        replay = replay_amount(positions)
        if self._left is None:
            never = never_mirrored(positions)
            return Forecast(never, 0.0 if never == NO_RECORD else None, replay)
        measured = context.of("cut").get("loss")
        if measured is not None:
            # When the mirror had stopped, and up to when the source was found dead: it does not grow any more.
            return Forecast(*loss_from_json(measured), replay)
        lag = self._left()
        if not lag.partitions:
            return Forecast(NotKnown("nothing of the service was mirrored"), None, replay)
        return Forecast(lag.records, lag.seconds, replay)

    def _require_idle(self, groups: GroupOffsets) -> None:
        described = self._target.reader.describe_groups(sorted(groups))
        active = sorted(name for name, group in described.items() if not group.accepts_offsets)
        if active:
            members = described[active[0]].members
            raise RefusedError(
                f"{len(active)} groups are active in {self._target.region}, so that their positions cannot be set: "
                f"{', '.join(active[:_SHOWN_GROUPS])}" + (f" (first member {members[0]})" if members else ""),
                hint="stop their consumers there",
            )

    def _remember(self, context: RunContext, translated: Translated) -> None:
        # Groups that an earlier attempt did not know yet are added; of those that it knew, every offset is there.
        self._earlier(context).add(
            {group: to_tree(translated.earlier.get(group, {})) for group in translated.wanted},
        )

    def _earlier(self, context: RunContext) -> UndoRecord:
        return UndoRecord(self._world.store, context, f"offsets-{context.target}")


def _missing(wanted: GroupOffsets, found: GroupOffsets) -> dict[str, dict[TopicPartition, int]]:
    return {
        group: rest
        for group, offsets in wanted.items()
        if (rest := {p: offset for p, offset in offsets.items() if found.get(group, {}).get(p) != offset})
    }
