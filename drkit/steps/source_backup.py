"""What the newest backup of a region says of its groups and logs, for the time when the region is gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from drkit.backup.manifest import Manifest
from drkit.backup.vault import Listing
from drkit.domain.inventory import Inventory, Part
from drkit.domain.kafka import TopicPartition
from drkit.domain.log_samples import Sighting, Sightings
from drkit.errors import DrkitError
from drkit.steps.world import World

Dated = tuple[int, int]
"""A committed offset and when it was known, ms since the epoch."""


@dataclass(slots=True)
class SourceBackup:
    """Read once: of a region that is gone there will be no newer one, and a bucket that went with it is slow to say so.

    What cannot be read is left out, and said in ``document``: less is known then, and nothing wrong.
    """

    world: World
    region: str
    _listing: Listing | None = None
    _read: dict[Part, tuple[Manifest, Inventory] | DrkitError | None] = field(default_factory=dict)

    def groups(self) -> dict[str, dict[TopicPartition, Dated]]:
        """Committed offsets of the groups in scope on topics in scope, as of when the backup began."""
        inventory, at_ms = self._of(Part.GROUPS)
        found = {
            name: {p: (one.offset, at_ms) for p, one in group.positions.items() if self.world.topics.matches(p.topic)}
            for name, group in (inventory.groups or {}).items()
            if self.world.groups.matches(name)
        }
        return {name: positions for name, positions in found.items() if positions}

    def logs(self) -> Sightings:
        """How far the logs went when the backup began."""
        inventory, at_ms = self._of(Part.LOGS)
        return {p: Sighting(one.range, at_ms, "backup") for p, one in (inventory.logs or {}).items()}

    def document(self, now: datetime) -> dict[str, Any]:
        """Per part the backup and its age, ``problem`` where it cannot be read; None where there is none."""
        return {part.value: self._about(part, now) for part in (Part.GROUPS, Part.LOGS)}

    def _about(self, part: Part, now: datetime) -> dict[str, Any] | None:
        match self._newest(part):
            case None:
                return None
            case (manifest, _):
                age = (now - manifest.taken_at).total_seconds()
                return {"backup_id": manifest.backup_id, "age_seconds": round(age, 3)}
            case error:
                return {"problem": error.message}

    def _of(self, part: Part) -> tuple[Inventory, int]:
        match self._newest(part):
            case (manifest, inventory):
                return inventory, int(manifest.taken_at.timestamp() * 1000)
            case _:
                return Inventory(self.region, ""), 0

    def _newest(self, part: Part) -> tuple[Manifest, Inventory] | DrkitError | None:
        if part not in self._read:
            try:
                self._read[part] = self._load(part)
            except DrkitError as error:
                self._read[part] = error
        return self._read[part]

    def _load(self, part: Part) -> tuple[Manifest, Inventory] | None:
        manifest = next((one for one in self._manifests() if part in one.parts), None)
        return None if manifest is None else (manifest, self.world.vault.load(manifest, [part]))

    def _manifests(self) -> Iterator[Manifest]:
        """Backups of the cluster that was there, newest first; those that cannot be read are left out."""
        cluster_id = self.world.settings.regions[self.region].cluster.cluster_id
        if self._listing is None:
            self._listing = self.world.vault.listing(self.region)
        for place in reversed(self._listing.backups):
            with suppress(DrkitError):
                manifest = self.world.vault.read(*place)
                # One of another cluster says nothing of this one.
                if manifest.cluster_id == cluster_id:
                    yield manifest
