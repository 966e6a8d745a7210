"""Where backups are kept: the same objects in every replica, so that what one has lost another one has.

``backups/objects/PART/SHA256-BACKUP.EXTENSION`` is content, named for itself and for the backup that stored it: no two
backups ever write the same key. ``backups/manifests/REGION/BACKUP.json`` is written when all of it is stored, and makes
the backup visible.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from drkit.backup.contents import decode
from drkit.backup.manifest import BACKUP_ID, MANIFESTS, Manifest, StoredPart, manifest_key, read_manifest
from drkit.domain.inventory import Inventory, Part
from drkit.domain.naming import printable
from drkit.engine.calls import at_once, attempt
from drkit.errors import DrkitError, RefusedError, UnreachableError, UsageError
from drkit.ports import ObjectStore

T = TypeVar("T")

_REMEMBERED = 2000
"""Manifests that a process remembers: a service reads another one at every turn, for months."""
LATEST = "latest"
"""Names the newest backup."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One bucket that holds backups. ``label``: how reports call it.

    ``locked_days``: for how long its objects can be neither changed nor removed (S3 Object Lock); None: not at all.
    """

    label: str
    store: ObjectStore
    locked_days: int | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """What the replicas say that there is, by label. ``foreign``: objects under the prefix that are no manifests.

    ``held``: region and id of the backups that have a manifest in it; ``dark``: replicas that did not answer.
    """

    held: Mapping[str, frozenset[tuple[str, str]]]
    foreign: Mapping[str, int]
    dark: Mapping[str, DrkitError]

    @property
    def backups(self) -> list[tuple[str, str]]:
        """Region and id of every backup, newest last."""
        return sorted({one for found in self.held.values() for one in found}, key=lambda one: (one[1], one[0]))


@dataclass(slots=True)
class Vault:
    """The backups of one service. Reads go on in another replica when one is dark, or does not have what it should."""

    replicas: Sequence[Replica]
    _read: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    """Manifests never change."""
    _dark: set[str] = field(default_factory=set)
    """Replicas that did not answer since the last listing: they are asked last."""

    def listing(self, region: str | None = None) -> Listing:
        """Which backups there are, of a region or of all. Raises what the first replica raised when none answers."""
        self._dark.clear()
        prefix = MANIFESTS if region is None else f"{MANIFESTS}{region}/"
        answers = at_once(lambda replica: self._keys(replica, prefix), self.replicas)
        held, foreign, dark = {}, {}, {}
        for replica, answer in zip(self.replicas, answers, strict=True):
            if isinstance(answer, DrkitError):
                dark[replica.label] = answer
                self._dark.add(replica.label)
                continue
            found = [_place(key) for key in answer]
            held[replica.label] = frozenset(place for place in found if place is not None)
            foreign[replica.label] = found.count(None)
        if not held:
            raise next(iter(dark.values()))
        return Listing(held, foreign, dark)

    def manifests(self, region: str | None = None) -> list[Manifest]:
        """Every backup that can be read, of a region or of all, newest last. Raises as ``listing``."""
        found = self.read_all(self.listing(region))
        return [one for one in found.values() if isinstance(one, Manifest)]

    def read_all(self, listing: Listing) -> Mapping[tuple[str, str], Manifest | DrkitError]:
        """The manifests of a listing, newest last; for one that cannot be read from any replica, why."""
        places = listing.backups
        return dict(zip(places, at_once(lambda place: attempt(self.read, *place), places), strict=True))

    def newest(self, region: str, part: Part | None = None) -> Manifest | None:
        """The newest backup of a region that has this part (None: any) and can be read; None if there is none."""
        for place in reversed(self.listing(region).backups):
            found = attempt(self.read, *place)
            if isinstance(found, Manifest) and (part is None or part in found.parts):
                return found
        return None

    def manifest(self, backup_id: str) -> Manifest:
        """One backup, by its whole id. Raises ``UsageError`` for what is no id, ``RefusedError`` if there is none."""
        if not BACKUP_ID.fullmatch(backup_id):
            raise UsageError(f"{printable(backup_id)!r} is not the id of a backup", hint="drkit backup list shows them")
        return self.find(backup_id)

    def find(self, reference: str, region: str | None = None) -> Manifest:
        """A backup by its id, by the beginning of one, or ``latest``, of a region or of all.

        Raises ``RefusedError`` if there is none or more than one, or if it can be read from no replica.
        """
        return self.read(*place_of(reference, self.listing(region).backups, region))

    def load(self, manifest: Manifest, parts: Collection[Part] | None = None) -> Inventory:
        """What a backup holds, or these parts of it; a part that it does not have stays None.

        Raises ``RefusedError`` for a part that is whole in no replica, ``UnreachableError`` if none of them answers.
        """
        wanted = [part for part in Part if part in manifest.parts and (parts is None or part in parts)]
        values = at_once(lambda part: self.part(part, manifest.parts[part]), wanted)
        inventory = Inventory(manifest.region, manifest.cluster_id)
        for part, value in zip(wanted, values, strict=True):
            inventory = replace(inventory, **{part.value: value})  # type: ignore[arg-type]
        return inventory

    def part(self, part: Part, stored: StoredPart) -> object:
        """One part, as ``Inventory`` has it. Raises as ``load``."""
        return self._first(lambda replica: read_part(replica, part, stored))

    def read(self, region: str, backup_id: str) -> Manifest:
        """A backup that is listed. Raises ``RefusedError`` if it is whole in no replica, or needs a newer drkit."""
        found = self._read.get((region, backup_id))
        if found is None:
            found = self._first(lambda one: read_copy(one, region, backup_id))
            if len(self._read) >= _REMEMBERED:
                self._read.clear()
            self._read[region, backup_id] = found
        return found

    def _first(self, read: Callable[[Replica], T]) -> T:
        """What the first replica answers that has it whole."""
        errors: dict[str, DrkitError] = {}
        for replica in sorted(self.replicas, key=lambda one: one.label in self._dark):
            answer = attempt(read, replica)
            if not isinstance(answer, DrkitError):
                return answer
            errors[replica.label] = answer
            if isinstance(answer, UnreachableError):
                self._dark.add(replica.label)
        first = next(iter(errors.values()))
        if len(errors) == 1:
            raise first
        message = "; ".join(f"{label}: {error.message}" for label, error in errors.items())
        dark = all(isinstance(error, UnreachableError) for error in errors.values())
        raise (UnreachableError if dark else RefusedError)(message, hint=first.hint) from first

    def _keys(self, replica: Replica, prefix: str) -> list[str] | DrkitError:
        return attempt(lambda: list(replica.store.list(prefix)))


def place_of(reference: str, places: Sequence[tuple[str, str]], region: str | None = None) -> tuple[str, str]:
    """Region and id of a backup among these, newest last, by its id, by the beginning of one, or as ``latest``.

    Raises ``RefusedError`` if there is none or more than one.
    """
    found = places[-1:] if reference == LATEST else [one for one in places if one[1].startswith(reference)]
    whose = "" if region is None else f" of {region}"
    if not found:
        named = "no backup" if reference == LATEST else f"no backup {printable(reference)}"
        raise RefusedError(f"there is {named}{whose}", hint="drkit backup list shows them")
    if len(found) > 1:
        raise RefusedError(
            f"{printable(reference)} is the beginning of {len(found)} backups{whose}",
            hint="drkit backup list shows them; more of the id is needed",
        )
    return found[0]


def read_copy(replica: Replica, region: str, backup_id: str) -> Manifest:
    """A manifest from one replica. Raises ``RefusedError`` where it is not there, or not whole."""
    key = manifest_key(region, backup_id)
    stored = replica.store.get(key)
    if stored is None:
        raise RefusedError(f"{replica.label} does not have {key}", hint="drkit backup verify says what is missing")
    return read_manifest(stored.body, region, backup_id)


def read_part(replica: Replica, part: Part, stored: StoredPart) -> object:
    """A part from one replica. Raises ``RefusedError`` where it is not there, or not whole."""
    found = replica.store.get(stored.key)
    if found is None:
        raise RefusedError(
            f"{replica.label} does not have {stored.key}", hint="drkit backup verify says what is missing"
        )
    return decode(stored.content(part, found.body), stored.key)


def _place(key: str) -> tuple[str, str] | None:
    region, _, name = key.removeprefix(MANIFESTS).rpartition("/")
    backup_id = name.removesuffix(".json")
    is_manifest = key == manifest_key(region, backup_id) and BACKUP_ID.fullmatch(backup_id) and "/" not in region
    return (region, backup_id) if is_manifest and region else None
