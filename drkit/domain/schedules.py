"""When scheduled backups are due: what was asked for, and which moments that makes.

A schedule is a grid of moments on a monotonic clock: the n-th is at ``period * n`` from the schedule's start, plus a
jitter of its own. As each moment is counted from the start and not from the one before, nothing drifts; as they are
computed and not stored, a machine that slept has no backlog: what was missed is counted, and one run makes up for it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from drkit.domain.inventory import Part
from drkit.errors import UsageError

EVERYTHING: Final = "all"
MOST_JITTER: Final = 0.5
"""With half a period either moment stays before the next one."""
MOST_JITTER_SECONDS: Final = 300.0
"""However long the period is: a first backup of a day's is not to wait for hours."""
_LONGEST_SECONDS: Final = 366 * 86_400
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION: Final = re.compile(r"([1-9][0-9]{0,8})([smhd])", re.ASCII)
_SHARE: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%", re.ASCII)
_HINT: Final = "write DURATION:WHAT[+WHAT], such as 10s:groups,1h:all"


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What is backed up, and how often. ``parts``: sorted; None for everything that there is.

    Consumer groups alone are a look of the watch, which samples their positions on the primary (``is_look``);
    everything else is a backup of both regions.
    """

    period_seconds: int
    parts: tuple[Part, ...] | None

    @property
    def name(self) -> str:
        """``all``, or the parts, joined by ``+``."""
        return EVERYTHING if self.parts is None else "+".join(self.parts)

    @property
    def is_look(self) -> bool:
        """Whether the groups' positions are sampled, instead of a backup made."""
        return self.parts == (Part.GROUPS,)

    @property
    def text(self) -> str:
        """As it is written in ``--every``."""
        return f"{duration_text(self.period_seconds)}:{self.name}"


@dataclass(frozen=True, slots=True)
class Grid:
    """The moments of one job, in seconds from the schedule's start.

    ``seed``: whatever tells this job on this machine from others; the jitter follows from it, and from nothing else.
    ``jitter``: share of the period, 0 to 0.5, within which each moment comes later. ``first_seconds``: when the first
    is due at the earliest.
    """

    period_seconds: float
    seed: str = ""
    jitter: float = 0.0
    first_seconds: float = 0.0

    def due(self, number: int) -> float:
        """The n-th moment, from 0."""
        spread = spread_seconds(self.period_seconds, self.jitter) * _fraction(self.seed, number)
        return self.first_seconds + self.period_seconds * number + spread

    def next_after(self, number: int, now: float) -> int:
        """The first moment after the n-th that is later than now: what lies between was missed."""
        # The moment of that number is not before `first + period * number`: those below it cannot be later than now.
        at_least = int((now - self.first_seconds) / self.period_seconds) - 1
        found = max(number + 1, at_least)
        while self.due(found) <= now:
            found += 1
        return found


def spread_seconds(period_seconds: float, jitter: float) -> float:
    """By how much a moment may come later."""
    return min(period_seconds * jitter, MOST_JITTER_SECONDS)


def first_due(age_seconds: float | None, period_seconds: float) -> float:
    """How long a service that begins waits for its first backup: as long as the newest one is young enough.

    ``age_seconds``: of the newest good backup; None where there is none. A service that is started again and again
    makes no backup each time, and one that was away makes up for it at once.
    """
    return 0.0 if age_seconds is None else max(0.0, period_seconds - max(0.0, age_seconds))


def parse_jobs(text: str) -> tuple[JobSpec, ...]:
    """The jobs of ``--every``, as they are written. Raises ``UsageError`` with everything that is wrong."""
    jobs: list[JobSpec] = []
    problems: list[str] = []
    for item in text.split(","):
        job, wrong = _job(item.strip())
        problems += wrong
        if job is not None and any(job.parts == other.parts for other in jobs):
            problems.append(f"{job.name} is asked for twice")
        elif job is not None:
            jobs.append(job)
    if problems:
        raise UsageError(f"--every {text!r}: {'; '.join(problems)}", hint=_HINT)
    return tuple(jobs)


def parse_duration(text: str) -> int:
    """Seconds of ``10s``, ``5m``, ``1h`` or ``1d``. Raises ``UsageError``."""
    seconds = _seconds(text)
    if isinstance(seconds, str):
        raise UsageError(f"{text!r} {seconds}", hint="a duration is a whole number with s, m, h or d, such as 90s")
    return seconds


def parse_jitter(text: str) -> float:
    """The share of ``10%``. Raises ``UsageError`` above 50 %."""
    match = _SHARE.fullmatch(text)
    share = float(match[1]) / 100 if match else None
    if share is None or share > MOST_JITTER:
        raise UsageError(f"{text!r} is no share of a period from 0% to {MOST_JITTER:.0%}", hint="--jitter 10%")
    return share


def duration_text(seconds: int) -> str:
    """In the largest unit that it is a whole number of."""
    unit = next(unit for unit in reversed(_UNITS) if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"


def _job(item: str) -> tuple[JobSpec | None, list[str]]:
    if not item:
        return None, ["a job is empty"]
    duration, colon, what = item.partition(":")
    if not colon:
        return None, [f"{item!r} has no colon"]
    seconds = _seconds(duration)
    problems = [f"{duration!r} {seconds}"] if isinstance(seconds, str) else []
    names = what.split("+")
    known = {EVERYTHING, *Part}
    problems += [f"{name!r} is nothing that can be backed up" for name in names if name not in known]
    problems += [f"{name} is there twice" for name in sorted(set(names)) if names.count(name) > 1]
    if EVERYTHING in names and len(names) > 1:
        problems.append(f"{EVERYTHING} holds the rest of {what!r} already")
    if problems or isinstance(seconds, str):
        return None, problems
    parts = None if EVERYTHING in names else tuple(part for part in Part if part in names)
    return JobSpec(seconds, parts), []


def _seconds(text: str) -> int | str:
    """The seconds, or what is wrong with the text."""
    match = _DURATION.fullmatch(text)
    if not match:
        return "is no duration (a whole number with s, m, h or d)"
    seconds = int(match[1]) * _UNITS[match[2]]
    return seconds if seconds <= _LONGEST_SECONDS else "is longer than a year"


def _fraction(seed: str, number: int) -> float:
    """At least 0, below 1; evenly spread, the same each time."""
    digest = hashlib.sha256(f"{seed}\0{number}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48
