"""Which backups are kept, and why.

Counts go by region and by part: where groups are backed up every ten seconds and everything once an hour, the newest of
each hour is wanted of both. What a count keeps is told by order (of ids) and by the writer's clock: a clock that was
wrong makes one backup fall into another hour, and never hides a newer one behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from itertools import pairwise

from drkit.domain.inventory import Part

JUST_NOW = timedelta(hours=1)
"""A backup that was made less than this ago may still be on its way to another bucket, and one that was superseded less
than this ago may be what a running one stands on."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How many are kept: the ``last`` ones, and the newest of each of so many hours, days, weeks (ISO) and months.

    Hours, days, weeks and months without a backup do not count. 0: none for this reason.
    """

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether it keeps nothing."""
        return not any(getattr(self, one.name) for one in fields(self))


@dataclass(frozen=True, slots=True)
class Held:
    """A backup as retention sees it. ``stands_on``: earlier ones that a next backup may take objects from.

    Ids sort by time. ``taken_at`` and ``finished_at`` are of the clock of whoever made it. ``in_every_bucket``: while a
    bucket is dark, backups go to the others alone.
    """

    backup_id: str
    region: str
    taken_at: datetime
    finished_at: datetime
    parts: frozenset[Part]
    stands_on: frozenset[str] = frozenset()
    in_every_bucket: bool = True


Reasons = Mapping[str, tuple[str, ...]]
"""Per backup why it is kept; it is removed where there is no reason."""

_PERIODS: Mapping[str, Callable[[datetime], Hashable]] = {
    "hourly": lambda at: (at.date(), at.hour),
    "daily": lambda at: at.date(),
    "weekly": lambda at: at.isocalendar()[:2],
    "monthly": lambda at: (at.year, at.month),
}


def kept(backups: Iterable[Held], keep: Keep, now: datetime, in_use: Collection[str] = ()) -> Reasons:
    """Why each backup is kept: by a count, as the newest of a part, as just superseded, or as in use.

    Where the newest is not in every bucket, the newest one that is stays as well: a lost bucket takes no part away.
    """
    found = {one.backup_id: one for one in backups}
    reasons: dict[str, dict[str, None]] = {backup_id: {} for backup_id in sorted(found)}
    for line in _lines(found.values()).values():
        for backup_id, reason in _kept_in(line, keep, now):
            reasons[backup_id][reason] = None
    for backup_id in set(in_use) & reasons.keys():
        reasons[backup_id]["in use by an unfinished run"] = None
    leaders = [found[backup_id] for backup_id, why in reasons.items() if {"newest", "just superseded"} & why.keys()]
    for backup_id in {one for leader in leaders for one in leader.stands_on} & reasons.keys():
        reasons[backup_id]["shared with the newest"] = None
    return {backup_id: tuple(why) for backup_id, why in reasons.items()}


def rescued(backups: Iterable[Held], reasons: Reasons, is_whole: Callable[[str, Part], bool]) -> Reasons:
    """The reasons, and one more for backups that alone are whole: of no part all whole ones are removed.

    ``is_whole`` reads, so it is asked as little as can be: of kept ones first, the newest first.
    """
    found = {backup_id: list(why) for backup_id, why in reasons.items()}
    for (_, part), line in _lines(backups).items():
        if all(found[one.backup_id] for one in line):
            continue
        in_order = sorted(line, key=lambda one: (bool(found[one.backup_id]), one.backup_id), reverse=True)
        whole = next((one.backup_id for one in in_order if is_whole(one.backup_id, part)), None)
        if whole is not None and not found[whole]:
            found[whole].append(f"the only whole one with {part.value}")
    return {backup_id: tuple(why) for backup_id, why in found.items()}


def _lines(backups: Iterable[Held]) -> Mapping[tuple[str, Part], Sequence[Held]]:
    """Per region and part the backups that have it, newest first."""
    lines: dict[tuple[str, Part], list[Held]] = {}
    for one in sorted(backups, key=lambda one: one.backup_id, reverse=True):
        for part in one.parts:
            lines.setdefault((one.region, part), []).append(one)
    return {key: lines[key] for key in sorted(lines)}


def _kept_in(line: Sequence[Held], keep: Keep, now: datetime) -> Iterable[tuple[str, str]]:
    yield line[0].backup_id, "newest"
    if not line[0].in_every_bucket:
        yield from [(one.backup_id, "newest in every bucket") for one in line if one.in_every_bucket][:1]
    for one in line:
        if now - one.finished_at < JUST_NOW:
            yield one.backup_id, "just made"
    for newer, one in pairwise(line):
        if now - newer.finished_at < JUST_NOW:
            yield one.backup_id, "just superseded"
    for one in line[: keep.last]:
        yield one.backup_id, "last"
    for name, period in _PERIODS.items():
        seen: set[Hashable] = set()
        for one in line:
            of = period(one.taken_at)
            if of not in seen and len(seen) < getattr(keep, name):
                seen.add(of)
                yield one.backup_id, name
