"""Vaults of fakes, and backups in them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from drkit.backup.manifest import Manifest
from drkit.backup.storing import Stored, Storing
from drkit.backup.survey import Surveyed
from drkit.backup.vault import Replica, Vault
from drkit.domain.inventory import Inventory, Part
from drkit.errors import DrkitError
from tests.fakes.aws import FakeObjectStore
from tests.fakes.clock import FakeClock
from tests.fakes.inventories import FULL

ALL = tuple(Part)


class VaultBench:
    """Two buckets, one clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.stores = {"a": FakeObjectStore(), "b": FakeObjectStore()}

    @property
    def vault(self) -> Vault:
        """As a process of its own sees it."""
        return Vault([Replica(label, store) for label, store in self.stores.items()])

    def store(
        self,
        inventory: Inventory = FULL,
        parts: Collection[Part] = ALL,
        errors: dict[Part, DrkitError] | None = None,
        *,
        after_seconds: float = 60,
    ) -> Stored:
        """One backup by a process of its own; the clock goes on by a minute before."""
        self.clock.advance(after_seconds)
        storing = Storing(self.vault, self.clock)
        begun = storing.begin(inventory.region, inventory.cluster_id, parts)
        only = {part.value: getattr(inventory, part.value) for part in parts if part not in (errors or {})}
        found = replace(Inventory(inventory.region, inventory.cluster_id), **only)
        return storing.commit(begun, Surveyed(found, errors or {}))

    def backup(self, inventory: Inventory = FULL, parts: Collection[Part] = ALL, **given: float) -> Manifest:
        """The manifest of one backup."""
        return self.store(inventory, parts, **given).manifest  # type: ignore[arg-type]

    def writes(self) -> int:
        """How many objects were written since the last call, in all buckets."""
        found = sum(call in ("create", "replace") for store in self.stores.values() for call, _ in store.calls)
        for store in self.stores.values():
            store.calls.clear()
        return found
