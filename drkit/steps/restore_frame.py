"""The first and the last step of a restore: the right cluster, and the proof that it has what the backup has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from drkit.domain.checks import Check, Verification, compared
from drkit.domain.inventory import Part
from drkit.domain.restoration import Restoration
from drkit.engine.step import Evidence, ReadingStep, RunContext
from drkit.errors import StalePlanError
from drkit.steps.restore_part import PIN, RestorePart
from drkit.steps.restore_view import RestoreView, digests, fingerprint
from drkit.steps.verify import require_no_difference


def plan_all(parts: Sequence[RestorePart], view: RestoreView) -> Restoration:
    """The whole plan: groups are placed as they will be once the topics are made."""
    topics = view.topics()
    planned = {Part.TOPICS: topics, Part.GROUPS: view.groups(topics)}
    whole = Restoration()
    for one in parts:
        whole += planned[one.part] if one.part in planned else one.plan()
    return whole + view.others()


class PinRestore(ReadingStep):
    """The cluster is the one that the configuration names, and the region is as it was when the plan was shown.

    ``ground``: the fingerprint of what the shown plan was made from. What is on record of it holds for the whole run:
    each step compares with it what it is about to change.
    """

    name = PIN
    holds_over_interruption = False

    def __init__(self, view: RestoreView, parts: Sequence[RestorePart], ground: str) -> None:
        self._view = view
        self._parts = parts
        self._ground = ground

    def describe(self, context: RunContext) -> str:
        """Say what is compared."""
        return "compare the cluster's id with the configuration, and the region with the plan"

    def confirm(self, context: RunContext) -> Evidence:
        """Compare; raises at the first difference."""
        view = self._view
        found = view.world.require_known_cluster(view.target)
        ground = context.of(PIN).get("ground")
        if ground is None:
            ground = digests(plan_all(self._parts, view).ground)
            if fingerprint(ground) != self._ground:
                raise StalePlanError(
                    f"{view.target} has changed since the restore was planned", hint="nothing was changed; plan again"
                )
        return {"cluster": found, "backup": view.manifest.backup_id, "ground": ground}


class ConfirmRestore(ReadingStep):
    """What was restored is compared with the backup once more; what differs is named, and the run ends with exit 6."""

    name = "confirm-restore"

    def __init__(self, view: RestoreView, parts: Sequence[RestorePart]) -> None:
        self._view = view
        self._parts = parts

    def describe(self, context: RunContext) -> str:
        """Say what is compared."""
        return "compare what was restored with the backup"

    def confirm(self, context: RunContext) -> Evidence:
        """Compare. Raises ``VerificationMissedError`` for any difference."""
        found = Verification(tuple(self._checks(context)))
        return require_no_difference(found, hint=f"drkit runs show {context.run_id} has every difference")

    def summarize(self, evidence: Evidence) -> str:
        """How many parts are as in the backup."""
        return f"{len(evidence['checks'])} parts as in the backup"

    def _checks(self, context: RunContext) -> Iterable[Check]:
        for one in self._parts:
            if self._view.takes(one.part):
                of = f"the {one.what} of {self._view.manifest.backup_id}"
                yield compared(one.what, one.differences(context), "as in the backup", of=of)
