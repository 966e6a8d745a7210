"""Everything that commands ask of backups, but to restore one: run, list, show, verify, compare, prune."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from drkit.backup.checking import Checking
from drkit.backup.manifest import BACKUP_ID, Manifest
from drkit.backup.pruning import Pruning
from drkit.backup.storing import Storing
from drkit.backup.survey import Surveyed, parts_of, survey
from drkit.backup.unseen import with_unseen
from drkit.backup.vault import Listing, Vault, place_of
from drkit.domain.inventory import Inventory, Part
from drkit.domain.inventory_differences import comparable, differences, things
from drkit.domain.retention import Keep
from drkit.domain.runs import RunState
from drkit.engine.calls import at_once, attempt
from drkit.errors import DrkitError, RefusedError
from drkit.ports import Progress
from drkit.procedures import backup_answers as answers
from drkit.procedures.backup_answers import BackupRun, Comparison, RegionBackup
from drkit.steps.world import World

_ONE_COPY: Final = "there is one copy only: with regions.<name>.backup each region has a bucket of its own for them"


@dataclass(frozen=True, slots=True)
class Backups:
    """Backups of one service. ``primary``: which region is primary now; ``unfinished``: the run that is, if one is."""

    world: World
    primary: Callable[[], str]
    unfinished: Callable[[], RunState | None]

    def run(
        self,
        parts: Collection[Part] | None = None,
        regions: Sequence[str] | None = None,
        progress: Progress = lambda _: None,
        *,
        anew: bool = False,
    ) -> BackupRun:
        """Back up these parts (None: all that a region has) of these regions (None: the primary), side by side.

        ``anew``: also what did not change is stored again. Raises the error of the first region where nothing of any
        could be stored.
        """
        regions = [self.primary()] if regions is None else list(dict.fromkeys(regions))
        for region in regions:
            self._require_region(region)
        wanted = self.wanted(parts, regions)
        found = at_once(lambda region: attempt(self._run, region, wanted[region], progress, anew), regions)
        failed = {region: one for region, one in zip(regions, found, strict=True) if isinstance(one, DrkitError)}
        backups = [one for one in found if isinstance(one, RegionBackup)]
        if not backups:
            raise next(iter(failed.values()))
        return BackupRun(backups, failed, self._notes())

    def list(self, region: str | None = None) -> dict[str, Any]:
        """``drkit.backup-list/1``: newest first; with what cannot be read, and which buckets do not answer."""
        self._require_region(region)
        listing = self._vault.listing(region)
        read = self._vault.read_all(listing)
        now = self.world.clock.now()
        return {
            "schema": "drkit.backup-list/1",
            "backups": [
                {**answers.row(one, listing, now), "other_cluster": self._is_of_another_cluster(one)}
                for one in reversed([*read.values()])
                if isinstance(one, Manifest)
            ],
            "unreadable": [
                {"backup_id": backup_id, "region": of, "error": error.message}
                for (of, backup_id), error in read.items()
                if isinstance(error, DrkitError)
            ],
            "dark": {label: error.message for label, error in listing.dark.items()},
            "notes": self._notes(listing),
        }

    def show(self, reference: str, region: str | None = None, parts: Collection[Part] | None = ()) -> dict[str, Any]:
        """``drkit.backup-show/1``: a backup by its id, the beginning of one, or ``latest``.

        ``parts``: whose contents are shown; None for all of them.
        """
        self._require_region(region)
        manifest = self._vault.find(reference, region)
        listing = self._vault.listing(manifest.region)
        held = self._vault.load(manifest, parts)
        return {
            **answers.shown(manifest, listing, self.world.clock.now(), self._notes(listing, manifest)),
            "contents": {part.value: things(part, held) for part in comparable(held, held)},
        }

    def verify(
        self,
        references: Sequence[str] = (),
        region: str | None = None,
        *,
        share: float = 0.0,
        progress: Progress = lambda _: None,
    ) -> dict[str, Any]:
        """``drkit.backup-verify/1``: these backups, or all; ``share`` of their objects is read, 0.0 to 1.0."""
        self._require_region(region)
        # One that cannot be read is what is looked for.
        places = self._vault.listing(region).backups
        wanted = {place_of(one, places, region)[1] for one in references} if references else None
        if not places:
            raise RefusedError("there is no backup to verify", hint="drkit backup run makes one")
        return answers.verified(Checking(self._vault, share, progress).run(wanted, region))

    def diff(
        self, first: str, second: str, region: str | None = None, parts: Collection[Part] | None = None
    ) -> Comparison:
        """A backup beside another one, or beside a live region (``second`` is its name).

        ``parts``: None for all but the ends of logs, which always move. Raises ``RefusedError`` where the two have no
        part in common.
        """
        self._require_region(region)
        manifest = self._vault.find(first, region)
        wanted = {part for part in manifest.parts if (part in parts if parts is not None else part is not Part.LOGS)}
        if second in self.world.settings.regions:
            live = self._survey(second, wanted)
            other, unread = live.inventory, live.missing
            side = {"region": second, "cluster_id": other.cluster_id}
        else:
            later = self._vault.find(second, region)
            other, unread, side = self._vault.load(later, wanted), {}, _side(later)
        before = self._vault.load(manifest, wanted)
        compared = comparable(before, other)
        if not compared and not unread:
            raise RefusedError("they have no part in common", hint="drkit backup show says which parts a backup has")
        notes = []
        if before.cluster_id != other.cluster_id:
            notes.append("they are of different clusters, so that ids of topics are not compared")
        return Comparison(
            {"first": _side(manifest), "second": side},
            compared,
            differences(before, other, wanted),
            unread,
            self._left_out(parts, before, other, unread),
            notes,
        )

    def prune(self, keep: Keep, region: str | None = None, *, dry_run: bool = False) -> dict[str, Any]:
        """``drkit.backup-prune/1``. Raises as ``Pruning.run``."""
        self._require_region(region)
        run = self.unfinished()
        in_use = (
            set() if run is None else {one for one in map(str, run.plan.options.values()) if BACKUP_ID.fullmatch(one)}
        )
        pruned = Pruning(self._vault, self.world.clock, in_use, dry_run).run(keep, region)
        return answers.pruned_document(pruned, dry_run=dry_run)

    @property
    def _vault(self) -> Vault:
        return self.world.vault

    def wanted(self, parts: Collection[Part] | None, regions: Sequence[str]) -> Mapping[str, Sequence[Part]]:
        """The parts that a backup of these regions is to have of each, where these are asked for (None: all)."""
        found = {
            region: tuple(parts_of(self.world.regions[region], self.world.redirects) if parts is None else parts)
            for region in regions
        }
        for region in regions[1:]:
            # They are the service's, not the region's: the first one has them.
            found[region] = tuple(part for part in found[region] if part is not Part.REDIRECTS)
        return found

    def _run(self, region: str, wanted: Collection[Part], progress: Progress, anew: bool) -> RegionBackup:
        started = self.world.clock.monotonic()
        cluster_id = self.world.settings.regions[region].cluster.cluster_id
        storing = Storing(self._vault, self.world.clock)
        begun = storing.begin(region, cluster_id, wanted, anew=anew)
        progress(f"{region}: reading {', '.join(part.value for part in begun.asked)}")
        surveyed = with_unseen(self.world.regions[region], self._survey(region, wanted))
        for part, reason in surveyed.missing.items():
            progress(f"{region}: {part.value} {'lack something' if surveyed.has(part) else 'not read'}: {reason}")
        progress(f"{region}: storing backup {begun.backup_id}")
        stored = storing.commit(begun, surveyed)
        return RegionBackup(stored, self.world.clock.monotonic() - started)

    def _survey(self, region: str, parts: Collection[Part]) -> Surveyed:
        cluster_id = self.world.settings.regions[region].cluster.cluster_id
        return survey(self.world.regions[region], parts, cluster_id=cluster_id, redirects=self.world.redirects)

    def _left_out(
        self, parts: Collection[Part] | None, before: Inventory, other: Inventory, unread: Mapping[Part, str]
    ) -> dict[Part, str]:
        asked = set(Part) - {Part.LOGS} if parts is None else set(parts)
        return {
            part: f"the {'first' if getattr(before, part.value) is None else 'second'} does not have it"
            for part in Part
            if part in asked and part not in comparable(before, other) and part not in unread
        }

    def _notes(self, listing: Listing | None = None, manifest: Manifest | None = None) -> Sequence[str]:
        notes = [_ONE_COPY] if len(self._vault.replicas) == 1 else []
        foreign = sum(listing.foreign.values()) if listing is not None else 0
        if foreign:
            notes.append(f"{foreign} objects among the manifests are not drkit's: they are left alone")
        if manifest is not None and self._is_of_another_cluster(manifest):
            notes.append(f"it is of cluster {manifest.cluster_id}, which is not the one of {manifest.region} now")
        return notes

    def _is_of_another_cluster(self, manifest: Manifest) -> bool:
        region = self.world.settings.regions.get(manifest.region)
        return region is None or region.cluster.cluster_id != manifest.cluster_id

    def _require_region(self, region: str | None) -> None:
        if region is not None:
            self.world.require_region(region)


def _side(manifest: Manifest) -> dict[str, str]:
    return {
        "backup_id": manifest.backup_id,
        "region": manifest.region,
        "cluster_id": manifest.cluster_id,
        "taken_at": manifest.taken_at.isoformat(),
    }
