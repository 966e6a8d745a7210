"""Whether backups are what they say: their manifests and objects, in every replica.

Every object is looked for, and as many as asked for are read: each of them once, whichever backups share it.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from drkit.backup.manifest import OBJECTS, Manifest, StoredPart, writer_of
from drkit.backup.vault import Replica, Vault, read_copy, read_part
from drkit.domain.inventory import Part
from drkit.engine.calls import at_once, attempt
from drkit.errors import DrkitError
from drkit.ports import Progress

_SYSTEM_RANDOM = random.SystemRandom()
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one backup in one replica. ``part``: None where it is the manifest."""

    backup_id: str
    region: str
    replica: str
    part: Part | None
    what: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found. ``objects``: that the backups name, in all replicas; ``read_objects``: of them, opened.

    ``dark``: replicas that did not answer, of which nothing is known. ``orphans``: objects of backups that have no
    manifest, of an interrupted one or of one that is running now: a later prune removes them.
    """

    backups: Sequence[str]
    problems: Sequence[Problem]
    objects: int
    read_objects: int
    read_bytes: int
    dark: Mapping[str, DrkitError] = field(default_factory=dict)
    orphans: int = 0
    foreign: int = 0


@dataclass(frozen=True, slots=True)
class Checking:
    """Checks a vault. ``share``: of objects that are read, 0.0 to 1.0; of any number at least one, if it is not 0."""

    vault: Vault
    share: float = 0.0
    progress: Progress = lambda _: None

    def run(self, wanted: Collection[str] | None = None, region: str | None = None) -> Checked:
        """Check these backups, by their ids, or all of a region or of all. Raises as ``Vault.listing``."""
        listing = self.vault.listing(region)
        places = [place for place in listing.backups if wanted is None or place[1] in wanted]
        live = [replica for replica in self.vault.replicas if replica.label not in listing.dark]
        manifests, problems = _manifests(places, live)
        answers = dict(zip((one.label for one in live), at_once(_keys, live), strict=True))
        keys = {label: found for label, found in answers.items() if isinstance(found, frozenset)}
        spots = [
            (replica, part, stored)
            for part, stored in {
                stored.key: (part, stored) for one in manifests for part, stored in one.parts.items()
            }.values()
            for replica in live
            if replica.label in keys
        ]
        present = [spot for spot in spots if spot[2].key in keys[spot[0].label]]
        chosen = self._chosen(present)
        absent = [(*spot, "it is not there") for spot in spots if spot[2].key not in keys[spot[0].label]]
        problems += _about(manifests, [*absent, *self._damaged(chosen)])
        known = {backup_id for _, backup_id in listing.backups}
        writers = [writer_of(key) for found in keys.values() for key in found]
        return Checked(
            [backup_id for _, backup_id in places],
            problems,
            len(spots),
            len(chosen),
            sum(stored.stored_bytes for _, _, stored in chosen),
            {**listing.dark, **{label: found for label, found in answers.items() if isinstance(found, DrkitError)}},
            sum(writer is not None and writer not in known for writer in writers) if region is None else 0,
            sum(listing.foreign.values()) + writers.count(None),
        )

    def _chosen(self, present: list[tuple[Replica, Part, StoredPart]]) -> list[tuple[Replica, Part, StoredPart]]:
        if self.share >= 1:
            return present
        count = 0 if not present or self.share <= 0 else max(1, round(len(present) * self.share))
        return _SYSTEM_RANDOM.sample(present, count)

    def _damaged(
        self, chosen: list[tuple[Replica, Part, StoredPart]]
    ) -> Iterable[tuple[Replica, Part, StoredPart, str]]:
        for start in range(0, len(chosen), _BATCH):
            if start:
                self.progress(f"{start} of {len(chosen)} objects read")
            batch = chosen[start : start + _BATCH]
            answers = at_once(lambda one: attempt(read_part, *one), batch)
            yield from (
                (*one, error.message)
                for one, error in zip(batch, answers, strict=True)
                if isinstance(error, DrkitError)
            )


def _manifests(places: Sequence[tuple[str, str]], live: Sequence[Replica]) -> tuple[list[Manifest], list[Problem]]:
    """The backups that some replica has whole, and what is wrong with the manifests in the others."""
    copies = [(replica, region, backup_id) for region, backup_id in places for replica in live]
    read = at_once(lambda one: attempt(read_copy, *one), copies)
    problems = [
        Problem(backup_id, region, replica.label, None, found.message)
        for (replica, region, backup_id), found in zip(copies, read, strict=True)
        if isinstance(found, DrkitError)
    ]
    return list({one.backup_id: one for one in read if isinstance(one, Manifest)}.values()), problems


def _about(manifests: Collection[Manifest], wrong: Iterable[tuple[Replica, Part, StoredPart, str]]) -> list[Problem]:
    """Every backup that shares what is wrong has the problem."""
    users: dict[str, list[Manifest]] = {}
    for manifest in manifests:
        for stored in manifest.parts.values():
            users.setdefault(stored.key, []).append(manifest)
    return [
        Problem(one.backup_id, one.region, replica.label, part, f"{stored.key}: {what}")
        for replica, part, stored, what in wrong
        for one in users[stored.key]
    ]


def _keys(replica: Replica) -> frozenset[str] | DrkitError:
    return attempt(lambda: frozenset(replica.store.list(OBJECTS)))
