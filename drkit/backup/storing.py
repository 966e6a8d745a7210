"""Storing one backup: objects first, in every replica, then the manifest, which makes it visible.

An object of the newest backup that had the part is used again where the content is the same. Whoever removes that
backup meanwhile removes its manifest first and then looks which objects the others name: so whoever used its objects
looks, after its own manifest is there, whether that backup's still is. One of the two sees the other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from drkit.backup.contents import Content, encode
from drkit.backup.manifest import Manifest, StoredPart, id_time, new_backup_id, write_manifest
from drkit.backup.survey import Surveyed
from drkit.backup.vault import Listing, Replica, Vault
from drkit.domain.inventory import Part
from drkit.engine.calls import at_once, attempt
from drkit.engine.failpoints import BACKUP, hit
from drkit.errors import DrkitError, RefusedError, UnknownOutcomeError, UnreachableError
from drkit.ports import Clock, ObjectStore, PreconditionFailed

LONGEST_SECONDS: Final = 30 * 60.0
"""A backup that took longer from looking at the earlier ones to its manifest is given up."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What one backup came to. ``unchanged``: parts whose objects an earlier backup had stored.

    ``copies``: replicas that have all of it; ``not_copied``: those that do not, and why. ``written_bytes``: of new
    objects, in each replica, without the manifest.
    """

    manifest: Manifest
    copies: tuple[str, ...]
    not_copied: Mapping[str, DrkitError]
    unchanged: frozenset[Part]
    written_bytes: int


@dataclass(frozen=True, slots=True)
class Begun:
    """What was there when a backup began. ``usable``: the earlier backups whose objects may be used again, by part."""

    region: str
    cluster_id: str
    backup_id: str
    taken_at: datetime
    started: float
    asked: tuple[Part, ...]
    dark: Mapping[str, DrkitError]
    usable: Mapping[Part, Manifest] = field(default_factory=dict)
    earlier: Mapping[Part, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Storing:
    """Stores backups in a vault."""

    vault: Vault
    clock: Clock

    def begin(self, region: str, cluster_id: str, parts: Collection[Part], *, anew: bool = False) -> Begun:
        """Look at what there is, before the region is read; ``anew``: use no earlier object. As ``Vault.listing``."""
        started, now = self.clock.monotonic(), self.clock.now().astimezone(UTC)
        listing = self.vault.listing(region)
        places = listing.backups
        newest = places[-1][1] if places else None
        known = self._manifest(region, newest)
        usable, earlier = {}, {}
        for part in Part:
            last = newest if known is not None and part in known.parts else known.earlier.get(part) if known else None
            found = self._manifest(region, last) if last is not None and (region, last) in places else None
            if found is None or part not in found.parts:
                continue
            if part not in parts:
                earlier[part] = found.backup_id
            elif not anew and found.cluster_id == cluster_id and self._may_use(listing, found, part, now):
                usable[part] = found
        backup_id = new_backup_id(now, after=newest)
        asked = tuple(part for part in Part if part in parts)
        return Begun(region, cluster_id, backup_id, now, started, asked, listing.dark, usable, earlier)

    def commit(self, begun: Begun, surveyed: Surveyed) -> Stored:
        """Store what was read of the region.

        Raises the error of the first part where none could be read, that of the first replica where none takes it, and
        ``RefusedError`` where it took too long, or an earlier backup was removed under it: nothing is visible then.
        """
        contents = [encode(part, surveyed.inventory) for part in begun.asked if surveyed.has(part)]
        if not contents:
            raise next(iter(surveyed.errors.values()))
        parts, new = self._placed(begun, contents)
        live = [replica for replica in self.vault.replicas if replica.label not in begun.dark]
        writes = [(replica, parts[content.part].key, content.body) for content in new for replica in live]
        failed = {**begun.dark}
        for (replica, _, _), error in zip(writes, at_once(lambda one: attempt(_object, *one), writes), strict=True):
            if error is not None:
                failed.setdefault(replica.label, error)
        if self.clock.monotonic() - begun.started > LONGEST_SECONDS:
            raise RefusedError(
                f"the backup of {begun.region} took more than {LONGEST_SECONDS:.0f} s: it is given up, as what it "
                "stands on may have been removed",
                hint="is the region, or the bucket, slow? Another backup may be begun at any time",
            )
        manifest = Manifest(
            backup_id=begun.backup_id,
            region=begun.region,
            cluster_id=begun.cluster_id,
            taken_at=begun.taken_at,
            finished_at=self.clock.now().astimezone(UTC),
            parts=parts,
            missing=surveyed.missing,
            earlier=begun.earlier,
        )
        copies = self._publish(manifest, [replica for replica in live if replica.label not in failed], failed)
        self._require_kept(manifest, begun, copies)
        return Stored(
            manifest,
            tuple(replica.label for replica in copies),
            failed,
            frozenset(parts) - {content.part for content in new},
            sum(len(content.body) for content in new),
        )

    def _placed(self, begun: Begun, contents: list[Content]) -> tuple[dict[Part, StoredPart], list[Content]]:
        """Where each part's object is, and the contents that have to be stored for that."""
        parts, new = {}, []
        for content in contents:
            earlier = begun.usable[content.part].parts[content.part] if content.part in begun.usable else None
            if earlier is not None and earlier.sha256 == content.sha256:
                parts[content.part] = earlier
            else:
                parts[content.part] = StoredPart.of(content, begun.backup_id)
                new.append(content)
        return parts, new

    def _publish(self, manifest: Manifest, to: list[Replica], failed: dict[str, DrkitError]) -> list[Replica]:
        """Write the manifest to these replicas, one after the other; those that have it."""
        body, copies = write_manifest(manifest), []
        for replica in to:
            hit(BACKUP, "before-manifest")
            error = attempt(_create, replica.store, manifest.key, body)
            hit(BACKUP, "after-manifest")
            if error is None:
                copies.append(replica)
            else:
                failed[replica.label] = error
        if copies:
            return copies
        first = next(iter(failed.values()))
        if to and any(isinstance(failed[replica.label], UnreachableError) for replica in to):
            raise UnknownOutcomeError(
                f"whether backup {manifest.backup_id} was made is unknown: {first.message}",
                hint=f"drkit backup show {manifest.backup_id} tells when the bucket answers again",
            ) from first
        raise first

    def _require_kept(self, manifest: Manifest, begun: Begun, copies: list[Replica]) -> None:
        """Withdraw a backup whose objects may be gone, as the one that they were taken from is."""
        own = manifest.backup_id
        shared = {begun.usable[part].key for part, stored in manifest.parts.items() if stored.written_by != own}
        asked = [(replica, key) for replica in copies for key in sorted(shared)]
        gone = [
            key for (_, key), is_gone in zip(asked, at_once(lambda one: _is_gone(*one), asked), strict=True) if is_gone
        ]
        if not gone:
            return
        for replica in copies:
            replica.store.delete(manifest.key)
        raise RefusedError(
            f"{gone[0]} was removed while backup {own} shared objects with it: the backup was withdrawn",
            hint="drkit backup run again; prunes and backups may overlap, but for such a moment",
        )

    def _manifest(self, region: str, backup_id: str | None) -> Manifest | None:
        found = None if backup_id is None else attempt(self.vault.read, region, backup_id)
        return found if isinstance(found, Manifest) else None

    def _may_use(self, listing: Listing, manifest: Manifest, part: Part, now: datetime) -> bool:
        """Whether every replica has the object, and keeps it long enough: locked for half of its time at least."""
        has_it = all((manifest.region, manifest.backup_id) in held for held in listing.held.values())
        days = [replica.locked_days for replica in self.vault.replicas if replica.locked_days is not None]
        age = now - id_time(manifest.parts[part].written_by)
        return has_it and (not days or age < timedelta(days=min(days)) / 2)


def _object(replica: Replica, key: str, body: bytes) -> None:
    hit(BACKUP, "before-object")
    _create(replica.store, key, body)
    hit(BACKUP, "after-object")


def _create(store: ObjectStore, key: str, body: bytes) -> None:
    """Create an object under a key that nobody else writes. One that is there is one's own, from a lost answer."""
    try:
        store.create(key, body)
    except (PreconditionFailed, UnreachableError) as error:
        found = store.get(key)
        if found is None or found.body != body:
            if isinstance(error, DrkitError):
                raise
            raise RefusedError(
                f"{key} is there already, and is not what is to be stored", hint="who wrote it?"
            ) from error


def _is_gone(replica: Replica, key: str) -> bool:
    """Whether the object is known not to be there."""
    try:
        return replica.store.get(key) is None
    except DrkitError:
        return False
