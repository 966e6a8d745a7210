"""A schema registry in memory, as ``tests/contracts`` proves it of the real client, with faults on demand."""

from __future__ import annotations

from dataclasses import replace

from drkit.domain.inventory import RegistryInventory, SubjectVersion
from drkit.errors import RefusedError
from tests.fakes.scripted import Scripted

_EMPTY = RegistryInventory((), "BACKWARD")
_LEVELS = {"NONE", *(f"{kind}{more}" for kind in ("BACKWARD", "FORWARD", "FULL") for more in ("", "_TRANSITIVE"))}


class FakeRegistry(Scripted):
    """``RegistryReader`` and ``RegistryWriter``.

    ``importing``: subjects that are in mode IMPORT; one stays so when a registration is cut off.
    """

    def __init__(self, content: RegistryInventory = _EMPTY) -> None:
        super().__init__()
        self.content = content
        self.importing: set[str] = set()

    def read(self) -> RegistryInventory:
        self._begin("read", "")
        return self.content

    def register(self, version: SubjectVersion) -> None:
        fault = self._begin("register", f"{version.subject} {version.version}")
        there = {(one.subject, one.version): one for one in self.content.versions}
        if any((one.subject, one.version) not in there for one in version.references):
            raise RefusedError(f"{version.subject} imports what is not there")
        if there.setdefault((version.subject, version.version), version) != version:
            raise RefusedError(f"version {version.version} of subject {version.subject} is another schema")
        if any(one.schema_id == version.schema_id and one.schema != version.schema for one in there.values()):
            raise RefusedError(f"id {version.schema_id} is another schema's")
        self.content = replace(self.content, versions=tuple(there[key] for key in sorted(there)))
        self.importing.add(version.subject)
        self._end(fault, "register", version.subject)
        self.importing.discard(version.subject)

    def set_compatibility(self, subject: str | None, level: str) -> None:
        fault = self._begin("set_compatibility", str(subject))
        if level not in _LEVELS:
            raise RefusedError(f"{level} is no compatibility level")
        if subject is None:
            self.content = replace(self.content, compatibility=level)
        else:
            levels = {**self.content.subject_compatibility, subject: level}
            self.content = replace(self.content, subject_compatibility=levels)
        self._end(fault, "set_compatibility", str(subject))
