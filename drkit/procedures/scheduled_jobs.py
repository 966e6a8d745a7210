"""What the jobs of a schedule do: a look of the watch, or a backup of both regions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from drkit.backup.manifest import Manifest
from drkit.backup.position_log import PositionLog
from drkit.domain.inventory import Part
from drkit.domain.job_records import POSITIONS, Covered, Good, Kind
from drkit.domain.schedules import JobSpec
from drkit.procedures.backup_answers import BackupRun
from drkit.procedures.backups import Backups
from drkit.procedures.serve import failure_of
from drkit.procedures.watch import Watch
from drkit.steps.world import World


@dataclass(slots=True)
class LookJob:
    """Consumer groups alone: one look of the watch, as ``drkit offsets watch`` does it, into the same store."""

    spec: JobSpec
    world: World
    watch: Watch
    primary: Callable[[], str]

    def newest(self) -> tuple[Good | None, Mapping[Kind, Good]]:
        """The newest look at the primary, by any watch."""
        region, clock = self.primary(), self.world.clock
        entries = [entries[-1][0] for entries in PositionLog(self.world.store, region).generations().values()]
        if not entries:
            return None, {}
        taken_at = datetime.fromtimestamp(max(entries) / 1000, UTC)
        good = Good.found(taken_at, clock.now(), clock.monotonic())
        return good, {(POSITIONS, region): good}

    def run(self) -> Covered:
        """Look once."""
        clock = self.world.clock
        at, began = clock.now(), clock.monotonic()
        look = self.watch.look()
        figures = look.figures
        # Each part of a look is for itself: positions may be stored although the offset syncs could not be.
        good = {(POSITIONS, look.source): Good(at, began, rows=figures["positions"])} if "positions" in figures else {}
        return Covered(
            good=good,
            stored_bytes=figures.get("stored_bytes", 0),
            objects=("positions" in figures) + (figures.get("archived_syncs", 0) > 0),
            failure=failure_of(look.errors[0]) if look.errors else None,
        )

    def close(self) -> None:
        """Leave the offset syncs' topic."""
        self.watch.close()


@dataclass(slots=True)
class BackupJob:
    """Parts of both regions, or all of them: one backup of each region, as ``drkit backup run --all`` makes it."""

    spec: JobSpec
    world: World
    backups: Backups

    def newest(self) -> tuple[Good | None, Mapping[Kind, Good]]:
        """The newest backup of each part and region, by whoever made it.

        The job as a whole is as old as the oldest of them; where one has none, there is none of the job.
        """
        good: dict[Kind, Good] = {}
        is_whole = True
        for region, parts in self.backups.wanted(self.spec.parts, [*self.world.settings.regions]).items():
            last = self.world.vault.newest(region)
            for part in parts:
                found = None if last is None else self._with(last, region, part)
                # A part may be there and lack something all the same.
                if found is None or part in found.missing:
                    is_whole = False
                    continue
                clock = self.world.clock
                rows = found.parts[part].rows
                good[part, region] = Good.found(found.taken_at, clock.now(), clock.monotonic(), rows)
        oldest = max(good.values(), key=lambda one: one.age_then_seconds, default=None)
        return (oldest if is_whole else None), good

    def run(self) -> Covered:
        """Back up both regions once."""
        began = self.world.clock.monotonic()
        run = self.backups.run(self.spec.parts, [*self.world.settings.regions])
        return covered_by(run, began)

    def close(self) -> None:
        """Nothing is followed between two backups."""

    def _with(self, last: Manifest, region: str, part: Part) -> Manifest | None:
        """The newest backup that has the part: the last one says which, unless it was asked for it in vain."""
        if part in last.parts:
            return last
        if part in last.earlier:
            return self.world.vault.manifest(last.earlier[part])
        return self.world.vault.newest(region, part) if part in last.missing else None


def covered_by(run: BackupRun, began: float) -> Covered:
    """What a backup of several regions did. ``began``: when, on the monotonic clock."""
    good: dict[Kind, Good] = {}
    stored_bytes = objects = 0
    for one in run.backups:
        stored, manifest = one.stored, one.stored.manifest
        for part, value in manifest.parts.items():
            if part not in manifest.missing:
                good[part, manifest.region] = Good(manifest.taken_at, began, rows=value.rows)
        stored_bytes += stored.written_bytes
        objects += len(manifest.parts.keys() - stored.unchanged) + 1
    problem = "; ".join(_lacking(run))
    return Covered(good, stored_bytes, objects, ("incomplete", problem) if problem else None)


def _lacking(run: BackupRun) -> Iterator[str]:
    """What was asked for and is not there."""
    for region, error in run.failed.items():
        yield f"nothing of {region} could be backed up: {error.message}"
    for one in run.backups:
        manifest = one.stored.manifest
        for part, reason in manifest.missing.items():
            lacks = "lack something" if part in manifest.parts else "are missing"
            yield f"{part.value} of {manifest.region} {lacks}: {reason}"
        for label, error in one.stored.not_copied.items():
            yield f"{manifest.backup_id} is not in {label}: {error.message}"
