"""What the steps of a restore have in common: planned again before the effect, on record before it, read back after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from drkit.domain.change_text import change_text, change_to_json
from drkit.domain.checks import SHOWN_ITEMS, listed
from drkit.domain.inventory import Part
from drkit.domain.naming import printable
from drkit.domain.provisioning import Change
from drkit.domain.restoration import Difference, Restoration
from drkit.engine.step import Evidence, RunContext, Step
from drkit.errors import StalePlanError
from drkit.steps.restore_view import RestoreView, digests
from drkit.steps.undo_record import UndoRecord

PIN = "pin-restore"


class RestorePart(Step[Restoration]):
    """One part of a backup put back. A change whose ground has moved since the plan was made is not made."""

    part: ClassVar[Part]
    what: ClassVar[str]
    """What the changes are called in a message."""

    def __init__(self, view: RestoreView) -> None:
        self._view = view

    def plan(self) -> Restoration:
        """What is to be done now."""
        raise NotImplementedError

    def make(self, context: RunContext, changes: Sequence[Change]) -> None:
        """Make the changes; safe to repeat."""
        raise NotImplementedError

    def observe(self, context: RunContext) -> Restoration:
        """What is left to be done. Raises ``StalePlanError`` where the region is not what was planned with."""
        found = self.plan()
        planned = frozenset(context.of(PIN).get("ground", ()))
        moved = sorted(one for one in found.ground if digests([one])[0] not in planned)
        if moved:
            raise StalePlanError(
                f"{self._view.target} has changed since the restore was planned: now {printable(listed(moved))}",
                hint=f"drkit abort {context.run_id} takes back what was restored; then plan again",
            )
        return found

    def is_satisfied(self, context: RunContext, observation: Restoration) -> bool:
        """Nothing is left to be done."""
        return not observation.changes

    def apply(self, context: RunContext, observation: Restoration) -> None:
        """Put on record what is about to be changed, and change it."""
        self.record(context).add({change_text(change): change_to_json(change) for change in observation.changes})
        self.make(context, observation.changes)

    def confirm(self, context: RunContext) -> Evidence:
        """Plan again: nothing may be left to be done."""
        left = self.plan()
        if left.changes:
            raise StalePlanError(
                f"{len(left.changes)} changes of {self.what} were made and are not there: "
                f"{listed(change_text(change) for change in left.changes)}",
                hint="somebody else changes them at the same time",
            )
        return {"made": self.made(context), "stays": told(left.stays)}

    def summarize(self, evidence: Evidence) -> str:
        """How much was done."""
        made = ", ".join(f"{number} {kind.replace('_', ' ')}" for kind, number in evidence["made"].items())
        stays = evidence["stays"]["count"]
        return (made or "nothing to do") + (f"; {stays} differ and stay" if stays else "")

    def made(self, context: RunContext) -> Mapping[str, int]:
        """How many changes of each kind this run has made."""
        return Counter(change["change"] for change in self.recorded(context))

    def differences(self, context: RunContext) -> list[str]:
        """What the region has otherwise than the backup, as far as it was restored; for the proof at the end."""
        found = self.plan()
        return [f"not there: {change_text(change)}" for change in found.changes] + [str(one) for one in found.stays]

    def record(self, context: RunContext) -> UndoRecord:
        """What this run has changed, or was about to."""
        return UndoRecord(self._view.world.store, context, self.name)

    def recorded(self, context: RunContext) -> list[Mapping[str, Any]]:
        """Every change on record, as JSON."""
        return list((self.record(context).read() or {}).values())


def told(stays: Iterable[Difference]) -> dict[str, Any]:
    """What differs and stays, as evidence: how many, and the first of them."""
    texts = [str(one) for one in stays]
    return {"count": len(texts), "first": texts[:SHOWN_ITEMS]}
