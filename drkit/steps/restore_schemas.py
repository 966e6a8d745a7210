"""Schemas registered again under their own ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drkit.domain.inventory import Part, RegistryInventory
from drkit.domain.provisioning import Change, RegisterSchema, SetCompatibility
from drkit.domain.restoration import Restoration
from drkit.engine.step import Evidence, RunContext
from drkit.steps.restore_part import RestorePart


class RestoreSchemas(RestorePart):
    """Versions and compatibility levels that are missing."""

    name = "restore-schemas"
    part = Part.SCHEMAS
    what = "schemas"

    def describe(self, context: RunContext) -> str:
        """Say what is registered."""
        return f"register the schemas that {context.target}'s registry does not have, under their own ids"

    def plan(self) -> Restoration:
        """As the registry is now."""
        return self._view.schemas()

    def is_satisfied(self, context: RunContext, observation: Restoration) -> bool:
        """Nothing is left to be done, and nothing was cut off, as far as is known."""
        return not observation.changes and not self._begun(context)

    def apply(self, context: RunContext, observation: Restoration) -> None:
        """As any part; and again what was begun.

        A subject may have been left in mode IMPORT, and a registry that is not empty any more looks as if somebody
        had chosen its level.
        """
        begun = self._begun(context)
        super().apply(context, observation)
        if begun:
            levels = _levels(self._view.registry[0].read())
            self.make(context, [one for one in begun if not _is_moved(one, levels)])

    def _begun(self, context: RunContext) -> list[Change]:
        held = self._view.backup(Part.SCHEMAS).schemas
        versions = {(one.subject, one.version): one for one in held.versions} if held is not None else {}
        begun: list[Change] = []
        for change in self.recorded(context):
            if change["change"] == "set_compatibility":
                begun.append(SetCompatibility(change["subject"], change["before"], change["after"]))
            elif version := versions.get((change["version"]["subject"], change["version"]["version"])):
                begun.append(RegisterSchema(version))
        return begun

    def make(self, context: RunContext, changes: Sequence[Change]) -> None:
        """What a schema imports before it; levels at last, as they bind what is registered after them."""
        _, writer = self._view.registry
        for change in changes:
            match change:
                case RegisterSchema(version):
                    context.progress(f"{version.subject} version {version.version}")
                    writer.register(version)
                case SetCompatibility(subject=subject, after=level):
                    writer.set_compatibility(subject, level)
                case _:
                    raise TypeError(change)

    def compensate(self, context: RunContext) -> Evidence:
        """Set back levels that are still as the run set them. Versions stay: drkit deletes none."""
        recorded = self.recorded(context)
        kept, restored = 0, 0
        if recorded:
            reader, writer = self._view.registry
            found = reader.read()
            for change in recorded:
                is_level = change["change"] == "set_compatibility"
                subject, before = change.get("subject"), change.get("before")
                level = found.compatibility if subject is None else found.subject_compatibility.get(subject)
                if is_level and before is not None and level == change["after"]:
                    writer.set_compatibility(subject, before)
                    restored += 1
                else:
                    kept += 1
        return {"restored": restored, "kept": kept}


def _levels(registry: RegistryInventory) -> dict[str | None, str]:
    levels: dict[str | None, str] = {None: registry.compatibility}
    levels.update(registry.subject_compatibility.items())
    return levels


def _is_moved(change: Change, levels: Mapping[str | None, str]) -> bool:
    """Whether somebody else has set the level meanwhile."""
    return isinstance(change, SetCompatibility) and levels.get(change.subject) != change.before
