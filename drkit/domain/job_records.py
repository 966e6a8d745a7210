"""What is known of a scheduled job: how often it ran, how that ended, and how old the newest good backup is.

Times that are only compared are seconds on the monotonic clock of this process; ``taken_at`` is of the wall clock of
whoever made the backup.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from drkit.domain.naming import printable
from drkit.domain.schedules import JobSpec, duration_text, spread_seconds

HEALTHY_PERIODS: Final = 2
"""One backup may fail or be late; the second may not."""
POSITIONS: Final = "positions"
"""The kind of what a look keeps; the kinds of a backup are the values of ``Part``."""


@dataclass(frozen=True, slots=True)
class Good:
    """A good backup of one kind and region: when it was begun, and how old it was at a time of this process's clock.

    The age goes on from there, so that a writer whose clock is ahead, or a clock that is set, hides no failure.
    """

    taken_at: datetime
    seen_at: float
    age_then_seconds: float = 0.0
    rows: int = 0

    @classmethod
    def found(cls, taken_at: datetime, now: datetime, seen_at: float, rows: int = 0) -> Good:
        """One that somebody made earlier. Dated in the future, it counts as made now."""
        return cls(taken_at, seen_at, max(0.0, (now - taken_at).total_seconds()), rows)

    def age_seconds(self, now: float) -> float:
        """Now."""
        return self.age_then_seconds + max(0.0, now - self.seen_at)


Kind = tuple[str, str]
"""What a good backup is of: the part (or ``POSITIONS``), and the region."""


@dataclass(frozen=True, slots=True)
class Covered:
    """What one run of a job did. ``failure``: the class and the text of what was wrong; None for a whole success."""

    good: Mapping[Kind, Good] = field(default_factory=dict)
    stored_bytes: int = 0
    objects: int = 0
    failure: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job, as a value. ``good``: the newest by kind. ``success``: of the job as a whole; None before the first."""

    spec: JobSpec
    started_at: float
    success: Good | None = None
    good: Mapping[Kind, Good] = field(default_factory=dict)
    running_since: float | None = None
    successes: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)
    total_seconds: float = 0.0
    last_seconds: float = 0.0
    stored_bytes: int = 0
    objects: int = 0
    problem: str = ""
    """What was wrong in the last run; empty after a success."""

    @property
    def runs(self) -> int:
        """How many have ended."""
        return self.successes + sum(self.failures.values())

    def begun(self, now: float) -> JobRecord:
        """A run begins."""
        return replace(self, running_since=now)

    def ended(self, covered: Covered, taken_at: datetime, now: float) -> JobRecord:
        """The run that had begun has ended. ``taken_at``: when it had begun, by the wall clock."""
        began = now if self.running_since is None else self.running_since
        seconds = max(0.0, now - began)
        record = replace(
            self,
            running_since=None,
            # A look is of the primary, which may be another region than the last time.
            good=dict(covered.good) if self.spec.is_look and covered.good else {**self.good, **covered.good},
            total_seconds=self.total_seconds + seconds,
            last_seconds=seconds,
            stored_bytes=self.stored_bytes + covered.stored_bytes,
            objects=self.objects + covered.objects,
        )
        if covered.failure is None:
            return replace(record, successes=self.successes + 1, success=Good(taken_at, began), problem="")
        reason, text = covered.failure
        return replace(record, failures=_one_more(self.failures, reason, 1), problem=text)

    def passed_over(self, reason: str, count: int) -> JobRecord:
        """So many moments came at which nothing was done."""
        return replace(self, skipped=_one_more(self.skipped, reason, count))

    def age_seconds(self, now: float) -> float | None:
        """Of the newest success; None where there is none."""
        return None if self.success is None else self.success.age_seconds(now)


@dataclass(frozen=True, slots=True)
class Served:
    """Everything that is told of the service at one moment; ``now`` is of the monotonic clock."""

    records: tuple[JobRecord, ...]
    health: Mapping[str, Any]
    now: float
    alerts_sent: int
    alerts_not_sent: int


def oldest_allowed_seconds(spec: JobSpec, jitter: float, grace_seconds: float) -> float:
    """The age of the newest success from which on a job is not healthy."""
    return HEALTHY_PERIODS * spec.period_seconds + spread_seconds(spec.period_seconds, jitter) + grace_seconds


def health_document(
    records: Iterable[JobRecord], now: float, *, jitter: float = 0.0, grace_seconds: float = 60.0
) -> dict[str, Any]:
    """``drkit.backup-health/1``: ``healthy``, the ``problems`` as text, and each job with its age and its limit.

    Where there was never a success it is waited for from the start of the service on.
    """
    jobs = [_job_health(record, now, jitter, grace_seconds) for record in records]
    problems = [f"{job['job']}: {job['reason']}" for job in jobs if not job["healthy"]]
    return {"schema": "drkit.backup-health/1", "healthy": not problems, "problems": problems, "jobs": jobs}


def _job_health(record: JobRecord, now: float, jitter: float, grace_seconds: float) -> dict[str, Any]:
    limit = oldest_allowed_seconds(record.spec, jitter, grace_seconds)
    age = record.age_seconds(now)
    waited = max(0.0, now - record.started_at) if age is None else age
    healthy = waited <= limit
    every = duration_text(record.spec.period_seconds)
    said = f"; the last run: {printable(record.problem)}" if record.problem else ""
    since = "no good backup yet, since" if age is None else "the newest good backup is of"
    running = f"; one runs since {now - record.running_since:.0f} s" if record.running_since is not None else ""
    return {
        "job": record.spec.name,
        "every": every,
        "healthy": healthy,
        "age_seconds": None if age is None else round(age, 3),
        "limit_seconds": round(limit, 3),
        "running": record.running_since is not None,
        "reason": "" if healthy else f"{since} {waited:.0f} s ago, and every {every} was asked for{said}{running}",
    }


def _one_more(counts: Mapping[str, int], key: str, count: int) -> dict[str, int]:
    return {**counts, key: counts.get(key, 0) + count}
