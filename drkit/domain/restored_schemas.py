"""Schemas as a restore registers them: under their own ids, what they import before them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from drkit.domain.inventory import Part, RegistryInventory, SubjectVersion
from drkit.domain.provisioning import Change, RegisterSchema, SetCompatibility
from drkit.domain.restoration import Choice, Difference, Restoration, grounded

_Key = tuple[str, int]


def restore_schemas(backup: RegistryInventory, live: RegistryInventory, choice: Choice) -> Restoration:
    """Versions and levels that are missing. A version that is there and differs stays: no registry changes one."""
    there = {(one.subject, one.version): one for one in live.versions}
    ids = {one.schema_id: one for one in live.versions}
    backed_up = {(one.subject, one.version) for one in backup.versions}
    changes: list[Change] = []
    stays: list[Difference] = []
    restored: set[_Key] = set()
    for one in _imports_first(backup.versions):
        found, holder = there.get((one.subject, one.version)), ids.get(one.schema_id)
        imports = [(reference.subject, reference.version) for reference in one.references]
        # What was never backed up is imported as it is here.
        lost = [key for key in imports if key not in restored and (key in backed_up or key not in there)]
        detail = ""
        if found is not None and _content(found) != _content(one):
            detail = f"is another one (id {found.schema_id})"
        elif found is None and lost:
            detail = f"imports {lost[0][0]} version {lost[0][1]}, which is not as in the backup"
        elif found is None and holder is not None and _said(holder) != _said(one):
            detail = f"its id {one.schema_id} is {holder.subject} version {holder.version} here"
        if detail:
            stays.append(Difference(Part.SCHEMAS, f"schema {one.subject} version {one.version}", detail))
            continue
        restored.add((one.subject, one.version))
        if found is None:
            changes.append(RegisterSchema(one))
    for found_or_change in _levels(backup, live, choice):
        if isinstance(found_or_change, Difference):
            stays.append(found_or_change)
        else:
            changes.append(found_or_change)
    more = len(there.keys() - backed_up)
    notes = (f"{more} schema versions that the backup does not have stay",) if more else ()
    return Restoration(tuple(changes), tuple(stays), notes=notes, ground=grounded(changes))


def _content(version: SubjectVersion) -> SubjectVersion:
    """No registry promises an order of references."""
    return replace(version, references=tuple(sorted(version.references)))


def _said(version: SubjectVersion) -> tuple[str, str]:
    """One id may be used by several subjects, for one schema."""
    return version.schema_type, version.schema


def _levels(backup: RegistryInventory, live: RegistryInventory, choice: Choice) -> Iterable[Change | Difference]:
    # A registry that holds nothing has the level that it was installed with, which nobody chose.
    is_new = not live.versions and not live.subject_compatibility
    if live.compatibility != backup.compatibility:
        yield (
            SetCompatibility(None, live.compatibility, backup.compatibility)
            if choice.replace or is_new
            else (
                Difference(
                    Part.SCHEMAS,
                    "compatibility of the registry",
                    f"is {live.compatibility}, {backup.compatibility} in the backup",
                    "--replace",
                )
            )
        )
    for subject, level in sorted(backup.subject_compatibility.items()):
        before = live.subject_compatibility.get(subject)
        if before == level:
            continue
        yield (
            SetCompatibility(subject, before, level)
            if before is None or choice.replace
            else Difference(
                Part.SCHEMAS, f"compatibility of {subject}", f"is {before}, {level} in the backup", "--replace"
            )
        )


def _imports_first(versions: Iterable[SubjectVersion]) -> list[SubjectVersion]:
    """In the order of ids, but none before what it refers to."""
    waiting: dict[_Key, SubjectVersion] = {
        (one.subject, one.version): one for one in sorted(versions, key=lambda one: (one.schema_id, one.subject))
    }
    known: Mapping[_Key, SubjectVersion] = dict(waiting)
    ordered: dict[_Key, SubjectVersion] = {}

    def place(key: _Key, above: frozenset[_Key]) -> None:
        if key in ordered or key in above or key not in known:
            return
        for reference in known[key].references:
            place((reference.subject, reference.version), above | {key})
        ordered[key] = known[key]

    for key in waiting:
        place(key, frozenset())
    return list(ordered.values())
