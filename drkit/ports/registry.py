"""A schema registry that speaks Confluent's REST interface (Confluent, Apicurio's ``/apis/ccompat/v7``, Karapace)."""

from __future__ import annotations

from typing import Protocol

from drkit.domain.inventory import RegistryInventory, SubjectVersion


class RegistryReader(Protocol):
    """A schema registry, read."""

    def read(self) -> RegistryInventory:
        """Every version of every subject that is not deleted, sorted by subject and version."""


class RegistryWriter(Protocol):
    """What a restore changes in a schema registry."""

    def register(self, version: SubjectVersion) -> None:
        """Register a version under its own id and version number (the subject's mode is IMPORT meanwhile).

        Registering what is there already changes nothing. Raises ``RefusedError`` where the id or the version is
        another schema's, or where the registry does not take ids.
        """

    def set_compatibility(self, subject: str | None, level: str) -> None:
        """Set the level of a subject, or of the registry (None)."""
