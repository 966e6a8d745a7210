"""Periods as moments of the day, for schedulers that know nothing else: cron and systemd's timers.

Such a period divides the hour or the day; another one would be uneven at its end. The minute (and hour) at which it
falls comes from a seed, so that not everything in a company begins at full hours.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from drkit.domain.schedules import JobSpec

_MINUTE: Final = 60
_HOUR: Final = 3_600
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Calendar:
    """Every so many minutes of the hour (``hours`` is 0), or every so many hours of the day at one minute.

    ``first_minute`` and ``first_hour``: where the period begins.
    """

    minutes: int
    hours: int
    first_minute: int
    first_hour: int

    @property
    def cron(self) -> str:
        """The five fields of crontab(5)."""
        if not self.hours:
            return f"{_steps(self.first_minute, self.minutes, 60, star='*')} * * * *"
        return f"{self.first_minute} {_steps(self.first_hour, self.hours, 24, star='*')} * * *"

    @property
    def systemd(self) -> str:
        """The expression of ``OnCalendar=`` (systemd.time(7))."""
        if not self.hours:
            return f"*:{self.first_minute:02d}/{self.minutes}:00"
        if self.hours == 24:
            return f"*-*-* {self.first_hour:02d}:{self.first_minute:02d}:00"
        return f"{self.first_hour:02d}/{self.hours}:{self.first_minute:02d}:00"


def calendar_of(job: JobSpec, seed: str) -> Calendar | None:
    """The moments of a job; None for a period that divides neither hour nor day, or is below a minute."""
    period = job.period_seconds
    spread = int.from_bytes(hashlib.sha256(f"{seed}\0{job.name}".encode()).digest()[:4])
    if period < _HOUR and period % _MINUTE == 0 and _HOUR % period == 0:
        minutes = period // _MINUTE
        return Calendar(minutes, 0, spread % minutes, 0)
    if period % _HOUR == 0 and _DAY % period == 0:
        hours = period // _HOUR
        return Calendar(60, hours, spread % 60, spread // 60 % hours)
    return None


def _steps(first: int, step: int, end: int, *, star: str) -> str:
    if step == 1:
        return star
    return str(first) if step == end else f"{first}-{end - 1}/{step}"
