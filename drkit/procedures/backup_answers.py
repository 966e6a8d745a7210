"""What commands on backups answer, and the documents that they print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from drkit.backup.checking import Checked
from drkit.backup.manifest import Manifest
from drkit.backup.pruning import Pruned
from drkit.backup.storing import Stored
from drkit.backup.vault import Listing
from drkit.domain.inventory import Part
from drkit.domain.inventory_differences import Difference
from drkit.errors import DrkitError


@dataclass(frozen=True, slots=True)
class RegionBackup:
    """The backup of one region. ``seconds``: from looking at the earlier ones to the last manifest."""

    stored: Stored
    seconds: float

    @property
    def is_complete(self) -> bool:
        """Whether it has every part that was asked for, in every bucket."""
        return self.stored.manifest.is_complete and not self.stored.not_copied

    def document(self) -> dict[str, Any]:
        """One entry of ``drkit.backup-run/1``."""
        manifest, stored = self.stored.manifest, self.stored
        return {
            "backup_id": manifest.backup_id,
            "region": manifest.region,
            "cluster_id": manifest.cluster_id,
            "taken_at": manifest.taken_at.isoformat(),
            "seconds": round(self.seconds, 3),
            "parts": {
                part.value: {"rows": one.rows, "bytes": one.stored_bytes, "unchanged": part in stored.unchanged}
                for part, one in manifest.parts.items()
            },
            "missing": _reasons(manifest.missing),
            "copies": list(stored.copies),
            "not_copied": {label: error.message for label, error in stored.not_copied.items()},
            "written_bytes": stored.written_bytes,
        }


@dataclass(frozen=True, slots=True)
class BackupRun:
    """Backups of one region or more. ``failed``: regions of which nothing could be stored, and why."""

    backups: Sequence[RegionBackup]
    failed: Mapping[str, DrkitError]
    notes: Sequence[str] = ()

    @property
    def is_complete(self) -> bool:
        """Whether everything that was asked for is stored, in every bucket."""
        return not self.failed and all(one.is_complete for one in self.backups)

    def document(self) -> dict[str, Any]:
        """``drkit.backup-run/1``; ``backup_id`` is of the first region that was asked for and has one."""
        return {
            "schema": "drkit.backup-run/1",
            "backup_id": self.backups[0].stored.manifest.backup_id,
            "complete": self.is_complete,
            "backups": [one.document() for one in self.backups],
            "failed": [
                {"region": region, "error": error.message, "hint": error.hint, "exit_code": int(error.exit_code)}
                for region, error in self.failed.items()
            ],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two inventories beside each other. ``unread``: parts of a live region that could not be read, and why.

    ``left_out``: parts that only one of them has.
    """

    sides: Mapping[str, Mapping[str, str]]
    compared: Sequence[Part]
    found: Sequence[Difference]
    unread: Mapping[Part, str]
    left_out: Mapping[Part, str]
    notes: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs, as far as could be seen, and everything could be seen."""
        return not self.found and not self.unread

    def document(self) -> dict[str, Any]:
        """``drkit.backup-diff/1``."""
        return {
            "schema": "drkit.backup-diff/1",
            **self.sides,
            "equal": self.is_empty,
            "compared": [part.value for part in self.compared],
            "differences": [{**asdict(one), "part": one.part.value, "text": one.text} for one in self.found],
            "unread": _reasons(self.unread),
            "left_out": _reasons(self.left_out),
            "notes": list(self.notes),
        }


def row(manifest: Manifest, listing: Listing, now: datetime) -> dict[str, Any]:
    """A backup in a list."""
    place = (manifest.region, manifest.backup_id)
    return {
        "backup_id": manifest.backup_id,
        "region": manifest.region,
        "cluster_id": manifest.cluster_id,
        "taken_at": manifest.taken_at.isoformat(),
        "age_seconds": round((now - manifest.taken_at).total_seconds(), 3),
        "parts": {part.value: one.rows for part, one in manifest.parts.items()},
        "missing": _reasons(manifest.missing),
        "bytes": manifest.stored_bytes,
        "copies": [label for label, held in listing.held.items() if place in held],
        "complete": manifest.is_complete,
    }


def shown(manifest: Manifest, listing: Listing, now: datetime, notes: Sequence[str]) -> dict[str, Any]:
    """``drkit.backup-show/1``: the row, and of each part its object."""
    parts = {part.value: {**asdict(one), "written_by": one.written_by} for part, one in manifest.parts.items()}
    return {
        "schema": "drkit.backup-show/1",
        **row(manifest, listing, now),
        "finished_at": manifest.finished_at.isoformat(),
        "drkit": manifest.written_by,
        "parts": parts,
        "earlier": {part.value: backup_id for part, backup_id in manifest.earlier.items()},
        "notes": list(notes),
    }


def verified(checked: Checked) -> dict[str, Any]:
    """``drkit.backup-verify/1``. ``ok``: nothing is wrong, and every bucket answered."""
    notes = []
    if checked.orphans:
        notes.append(
            f"{checked.orphans} objects of backups that were interrupted, or run now: a prune removes old ones"
        )
    if checked.foreign:
        notes.append(f"{checked.foreign} objects there are not drkit's: they are left alone")
    return {
        "schema": "drkit.backup-verify/1",
        "ok": not checked.problems and not checked.dark,
        "backups": list(checked.backups),
        "problems": [{**asdict(one), "part": None if one.part is None else one.part.value} for one in checked.problems],
        "dark": {label: error.message for label, error in checked.dark.items()},
        "objects": checked.objects,
        "read_objects": checked.read_objects,
        "read_bytes": checked.read_bytes,
        "notes": notes,
    }


def pruned_document(pruned: Pruned, *, dry_run: bool) -> dict[str, Any]:
    """``drkit.backup-prune/1``. ``complete``: all that was to be removed is, or would be."""
    return {
        "schema": "drkit.backup-prune/1",
        "dry_run": dry_run,
        "complete": not pruned.not_removed,
        "kept": {backup_id: list(why) for backup_id, why in pruned.kept.items() if why},
        "removed": [one.backup_id for one in pruned.removed],
        "removed_objects": {replica: len(keys) for replica, keys in pruned.objects.items()},
        "orphans": pruned.orphans,
        "not_removed": dict(pruned.not_removed),
        "foreign": {replica: count for replica, count in pruned.foreign.items() if count},
    }


def _reasons(reasons: Mapping[Part, str]) -> dict[str, str]:
    return {part.value: reason for part, reason in reasons.items()}
