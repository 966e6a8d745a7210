"""Schemas registered again under their own ids."""

from __future__ import annotations

from collections.abc import Sequence

from drkit.domain.inventory import Part
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
            levels: dict[str | None, str] = {None: found.compatibility, **found.subject_compatibility}
            for change in recorded:
                is_level, before = change["change"] == "set_compatibility", change.get("before")
                if is_level and before is not None and levels.get(change["subject"]) == change["after"]:
                    writer.set_compatibility(change["subject"], before)
                    restored += 1
                else:
                    kept += 1
        return {"restored": restored, "kept": kept}
