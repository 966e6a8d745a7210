"""Removing old backups: the manifest first, then objects that no manifest names any more.

Whoever stores a backup from an earlier one's objects looks, after its manifest is there, whether the earlier manifest
still is; here manifests are removed before it is looked which objects the others name. One of the two sees the other.
Objects of a backup that never got a manifest are removed when both this machine's clock and the newest backup say that
it was begun long ago, so that one clock that is ahead does not take the objects of a running backup.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from drkit.backup.manifest import OBJECTS, Manifest, id_time, writer_of
from drkit.backup.vault import Listing, Replica, Vault, read_part
from drkit.domain.inventory import Part
from drkit.domain.retention import Held, Keep, Reasons, kept, rescued
from drkit.engine.calls import at_once, attempt
from drkit.engine.failpoints import PRUNE, hit
from drkit.errors import DrkitError, RefusedError
from drkit.ports import Clock

_ORPHANED: Final = timedelta(hours=24)


@dataclass(slots=True)
class Pruned:
    """What a prune keeps, each with its reasons, and what it removed, or would.

    ``objects``: keys that were removed, per replica; ``orphans``: how many of them no backup ever named.
    ``not_removed``: what could not be removed, as ``key in replica``, with the reason. ``foreign``: objects under the
    prefixes that drkit did not write there; they are left alone.
    """

    kept: Reasons
    removed: list[Manifest] = field(default_factory=list)
    objects: dict[str, list[str]] = field(default_factory=dict)
    orphans: int = 0
    not_removed: dict[str, str] = field(default_factory=dict)
    foreign: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pruning:
    """Removes from a vault what is not kept. ``in_use``: backups that an unfinished run goes on with."""

    vault: Vault
    clock: Clock
    in_use: Collection[str] = ()
    dry_run: bool = False

    def run(self, keep: Keep, region: str | None = None) -> Pruned:
        """Prune a region's backups, or all.

        Raises ``RefusedError`` where nothing would be kept by any count, and the error of a replica that is dark: what
        is there cannot be told without it.
        """
        if keep.is_empty:
            raise RefusedError(
                "nothing says what is to be kept", hint="drkit backup prune --keep-hourly 24 --keep-daily 30 --dry-run"
            )
        listing = self._listing()
        manifests = _readable(self.vault.read_all(listing))
        backups = [_held(one, listing) for one in manifests.values() if region in (None, one.region)]
        reasons = kept(backups, keep, self.clock.now(), self.in_use)
        reasons = rescued(backups, reasons, lambda backup_id, part: self._is_whole(manifests[backup_id], part))
        pruned = Pruned(reasons)
        for backup_id in [backup_id for backup_id, why in reasons.items() if not why]:
            self._remove_manifest(manifests[backup_id], listing, pruned)
        self._remove_objects(pruned)
        return pruned

    def _listing(self) -> Listing:
        listing = self.vault.listing()
        if listing.dark:
            raise next(iter(listing.dark.values()))
        return listing

    def _is_whole(self, manifest: Manifest, part: Part) -> bool:
        """Whether some replica has the part whole. Raises what a replica raises that does not let itself be read."""
        for replica in self.vault.replicas:
            found = attempt(read_part, replica, part, manifest.parts[part])
            if not isinstance(found, DrkitError):
                return True
            if type(found) is not RefusedError:
                raise found
        return False

    def _remove_manifest(self, manifest: Manifest, listing: Listing, pruned: Pruned) -> None:
        place = (manifest.region, manifest.backup_id)
        for replica in self.vault.replicas:
            if place not in listing.held[replica.label]:
                continue
            if not self._remove(replica, manifest.key, manifest.backup_id, "manifest", pruned):
                # While one is left, the backup is there, and its objects stay.
                return
        pruned.removed.append(manifest)

    def _remove_objects(self, pruned: Pruned) -> None:
        listing = self._listing()
        read = self.vault.read_all(listing)
        pruned.foreign = dict(listing.foreign)
        unreadable = [(place, error) for place, error in read.items() if isinstance(error, DrkitError)]
        if unreadable:
            (region, backup_id), error = unreadable[0]
            pruned.not_removed[f"objects, as {len(unreadable)} manifests cannot be read"] = (
                f"{backup_id} of {region}: {error.message}"
            )
            return
        gone = {one.backup_id for one in pruned.removed}
        left = [one for one in _readable(read).values() if one.backup_id not in gone]
        objects = _Objects(
            named={part.key for one in left for part in one.parts.values()},
            freed={part.key for one in pruned.removed for part in one.parts.values()},
            listed={backup_id for _, backup_id in listing.backups} - gone,
            orphaned_before=self._orphaned_before(left),
        )
        for replica, keys in zip(self.vault.replicas, at_once(_keys, self.vault.replicas), strict=True):
            for key in keys:
                writer = writer_of(key)
                if writer is None:
                    pruned.foreign[replica.label] += 1
                elif objects.is_removed(key, writer) and self._remove(replica, key, writer, "object", pruned):
                    pruned.objects.setdefault(replica.label, []).append(key)
                    pruned.orphans += key not in objects.freed

    def _orphaned_before(self, left: Iterable[Manifest]) -> datetime:
        newest = max((id_time(one.backup_id) for one in left), default=datetime.min.replace(tzinfo=UTC) + _ORPHANED)
        return min(self.clock.now(), newest) - _ORPHANED

    def _remove(self, replica: Replica, key: str, backup_id: str, kind: str, pruned: Pruned) -> bool:
        """Remove an object; False if it could not be. S3 would hide a locked one, and go on keeping it."""
        where = f"{key} in {replica.label}"
        days = replica.locked_days
        if days is not None and self.clock.now() < id_time(backup_id) + timedelta(days=days):
            pruned.not_removed[where] = f"locked until {id_time(backup_id) + timedelta(days=days):%Y-%m-%d}"
            return False
        if self.dry_run:
            return True
        hit(PRUNE, f"before-{kind}")
        error = attempt(replica.store.delete, key)
        hit(PRUNE, f"after-{kind}")
        if error is not None:
            pruned.not_removed[where] = error.message
        return error is None


@dataclass(frozen=True, slots=True)
class _Objects:
    """``named`` by a manifest; ``freed`` by those that were removed; backups that are still ``listed``."""

    named: frozenset[str] | set[str]
    freed: frozenset[str] | set[str]
    listed: frozenset[str] | set[str]
    orphaned_before: datetime

    def is_removed(self, key: str, backup_id: str) -> bool:
        """Whether the object, which this backup stored, is in nobody's use."""
        if key in self.named or backup_id in self.listed:
            return False
        return key in self.freed or id_time(backup_id) < self.orphaned_before


def _held(manifest: Manifest, listing: Listing) -> Held:
    return Held(
        manifest.backup_id,
        manifest.region,
        manifest.taken_at,
        manifest.finished_at,
        frozenset(manifest.parts),
        frozenset(manifest.earlier.values()),
        all((manifest.region, manifest.backup_id) in held for held in listing.held.values()),
    )


def _readable(read: Mapping[tuple[str, str], Manifest | DrkitError]) -> dict[str, Manifest]:
    return {one.backup_id: one for one in read.values() if isinstance(one, Manifest)}


def _keys(replica: Replica) -> list[str]:
    return list(replica.store.list(OBJECTS))
