"""``restore``: a backup, or a part of it, put back into a region, as a run like any other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from drkit.backup.manifest import Manifest
from drkit.backup.vault import LATEST
from drkit.domain.mode import FailoverMode
from drkit.domain.naming import printable
from drkit.domain.restoration import RESTORABLE, Refusal
from drkit.domain.restore_request import RestoreRequest
from drkit.domain.run_events import RunPlanned
from drkit.domain.runs import RESTORE
from drkit.engine.listener import RunListener
from drkit.engine.step import Procedure, RunContext, Step
from drkit.errors import RefusedError, UnreachableError, UsageError
from drkit.procedures.answers import RunReport
from drkit.procedures.conduct import Conductor
from drkit.procedures.readings import Readings
from drkit.procedures.restore_plan import RestorePlan, plan_document
from drkit.steps.restore_cluster import RestoreAcls, RestoreTopics
from drkit.steps.restore_frame import ConfirmRestore, PinRestore, plan_all
from drkit.steps.restore_groups import RestoreGroups
from drkit.steps.restore_part import RestorePart
from drkit.steps.restore_schemas import RestoreSchemas
from drkit.steps.restore_view import RestoreView, digests, fingerprint
from drkit.steps.world import World
from drkit.verification.positions import Translator

PARTS: Final[tuple[type[RestorePart], ...]] = (RestoreTopics, RestoreSchemas, RestoreGroups, RestoreAcls)
"""Applications are let in when groups are where they belong: ACLs come last."""
STEPS: Final[tuple[type[Step[Any]], ...]] = (PinRestore, *PARTS, ConfirmRestore)
NO_RETURN_AFTER: Final = RestoreAcls.name


def compose(view: RestoreView, ground: str) -> Procedure:
    """The procedure. ``ground``: the fingerprint of what the plan was made from."""
    parts = [part(view) for part in PARTS]
    return Procedure(RESTORE, (PinRestore(view, parts, ground), *parts, ConfirmRestore(view, parts)), NO_RETURN_AFTER)


@dataclass(frozen=True, slots=True)
class Restoring:
    """Plans and runs restores of one service."""

    world: World
    readings: Readings
    conductor: Conductor

    def plan(self, request: RestoreRequest) -> RestorePlan:
        """Look at the backup and the region. Writes nothing.

        Raises ``UsageError`` for an unknown region, ``RefusedError`` beside an unfinished run, for a backup that does
        not have what was asked for, and for a cluster that is not the configured one. A plan with something that a flag
        lifts is returned: ``require_allowed`` refuses it.
        """
        self.conductor.refuse_beside_unfinished()
        self.world.require_state()
        view = self._found(request)
        self.world.require_known_cluster(view.target)
        view = self._with_held_parts(view)
        view.require_held()
        parts = [part(view) for part in PARTS]
        found = plan_all(parts, view)
        found = replace(
            found,
            refusals=(*self._other_cluster(view), *found.refusals),
            notes=(*found.notes, *self._of_the_mirror(view)),
        )
        procedure = compose(view, fingerprint(digests(found.ground)))
        context = RunContext("", FailoverMode.PLANNED, view.source, view.target, {}, lambda _: None)
        document = plan_document(
            view.manifest,
            view.target,
            view.ports.reader.describe_cluster().cluster_id,
            view.request,
            found,
            [(step.name, step.describe(context)) for step in procedure.steps],
            now=self.world.clock.now(),
        )
        return RestorePlan(view.request, view.source, view.target, procedure, found, document)

    def run(self, plan: RestorePlan, listener: RunListener) -> RunReport:
        """Run a plan. One that fails stops where it is: half of a restore is better than none, and can be resumed."""
        options = {**plan.request.options(), "ground": fingerprint(digests(plan.found.ground))}
        planned = self.conductor.planned(
            plan.procedure,
            FailoverMode.PLANNED,
            plan.source,
            plan.target,
            options=options,
            document=plan.document,
            undo_on_failure=False,
        )
        return self.conductor.begin(planned, plan.procedure, listener)

    def composed(self, plan: RunPlanned) -> Procedure:
        """The procedure of a restore that is on record."""
        request = RestoreRequest.of(plan.target, plan.options)
        view = self._view(request, plan.source, plan.target, lambda: self.world.vault.manifest(request.backup_id))
        return compose(view, str(plan.options["ground"]))

    def _found(self, request: RestoreRequest) -> RestoreView:
        """The view of a backup that is asked for. Raises ``UsageError`` for a region that is none."""
        if request.backup_id == LATEST and request.region is None:
            raise UsageError("the latest backup of which region?", hint="add --region REGION")
        manifest = self.world.vault.find(request.backup_id, request.region)
        source, regions = manifest.region, self.world.settings.regions
        target = request.target or source
        self.world.require_region(target)
        if source not in regions:
            raise RefusedError(
                f"backup {manifest.backup_id} is of {printable(source)}, which is not a region of this service",
                hint=f"regions: {', '.join(regions)}; drkit backup list shows the backups",
            )
        whole = replace(request, backup_id=manifest.backup_id, target=target, region=source)
        return self._view(whole, source, target, lambda: manifest)

    def _view(self, request: RestoreRequest, source: str, target: str, find: Callable[[], Manifest]) -> RestoreView:
        return RestoreView(
            world=self.world,
            vault=self.world.vault,
            find=find,
            source=source,
            target=target,
            request=request,
            translator=lambda: self._translator(source, target),
            rename=self.readings.names(source).on_target if source != target else str,
        )

    def _translator(self, source: str, target: str) -> Translator:
        """Of the flow from the backup's region, which is asked only while it answers as the configured cluster."""
        mode = FailoverMode.PLANNED
        try:
            found = self.world.regions[source].reader.describe_cluster().cluster_id
        except UnreachableError:
            mode = FailoverMode.DISASTER
        else:
            if found != self.world.settings.regions[source].cluster.cluster_id:
                mode = FailoverMode.DISASTER
        return self.readings.translator(source, target, mode)

    def _with_held_parts(self, view: RestoreView) -> RestoreView:
        """The view of the parts that the backup has. Raises ``RefusedError`` where it lacks one that was asked for."""
        asked, held = view.request.choice.parts, frozenset(view.manifest.parts)
        # Asked for everything: what this backup was not taken of is no reason to refuse the rest.
        optional = asked == frozenset(RESTORABLE)
        missing = [part for part in RESTORABLE if part in asked and part not in held]
        lost = [part for part in missing if part in view.manifest.missing]
        refused = lost if optional else missing
        if refused or len(missing) == len(asked):
            reasons = ", ".join(
                f"{part.value} ({view.manifest.missing.get(part, 'not asked for when it was taken')})"
                for part in refused or missing
            )
            raise RefusedError(
                f"backup {view.manifest.backup_id} does not have {reasons}",
                hint="drkit backup list shows which backups have what; or name other parts with --only",
            )
        choice = replace(view.request.choice, parts=asked & held)
        return replace(view, request=replace(view.request, choice=choice))

    @staticmethod
    def _of_the_mirror(view: RestoreView) -> tuple[str, ...]:
        if not view.is_other_cluster:
            return ()
        gone = f"what the mirror knows of {view.source} is of the cluster that is gone"
        return (f"{gone}: it has to begin anew (drkit mm2 status)",)

    @staticmethod
    def _other_cluster(view: RestoreView) -> tuple[Refusal, ...]:
        if not view.is_other_cluster or view.request.accept_other_cluster:
            return ()
        return (
            Refusal(
                f"the backup is of cluster {view.manifest.cluster_id}, which is not the cluster of {view.source} any "
                "more",
                "--accept-other-cluster",
            ),
        )
